/** How a stream scales and what it keeps, as options of a command and as words for people. */
import { type Command, Option } from 'commander'
import type { Retention, Scaling, StreamPolicy } from '../client/policy.ts'
import { CommandError, Exit } from './exit.ts'
import { showBytes, showCount, showSpan } from './show.ts'
import { parseSize, parseSpan, parseWhole } from './units.ts'

export interface PolicyOptions {
  readonly segments?: number
  readonly eventsPerSecond?: number
  readonly bytesPerSecond?: number
  readonly segmentsMin?: number
  readonly retainFor?: number
  readonly retainForMax?: number
  readonly retainBytes?: number
  readonly retainBytesMax?: number
  readonly tag?: readonly string[]
}

export function addPolicyOptions(command: Command): Command {
  const option = (flags: string, help: string, parse: (text: string) => unknown): Option =>
    new Option(flags, help).argParser(parse)
  return command
    .addOption(option('--segments <n>', 'as many segments, and no scaling', parseWhole))
    .addOption(
      option('--events-per-second <n>', 'scale so that a segment takes about so many events', parseWhole),
    )
    .addOption(
      option(
        '--bytes-per-second <size>',
        'scale so that a segment takes about so many bytes (32MiB unless given)',
        parseSize,
      ),
    )
    .addOption(option('--segments-min <n>', 'where it scales: never fewer segments than these', parseWhole))
    .addOption(option('--retain-for <span>', 'events older than this may go, such as 7d', parseSpan))
    .addOption(option('--retain-for-max <span>', 'older than this they go, read or not', parseSpan))
    .addOption(
      option('--retain-bytes <size>', 'events beyond so many bytes may go, such as 10GiB', parseSize),
    )
    .addOption(option('--retain-bytes-max <size>', 'beyond these they go, read or not', parseSize))
    .option('--tag <tag...>', 'tags to find the stream by')
}

export function policyOf(options: PolicyOptions): StreamPolicy {
  const scaling = scalingOf(options)
  const retention = retentionOf(options)
  return {
    ...(scaling === undefined ? {} : { scaling }),
    ...(retention === undefined ? {} : { retention }),
    ...(options.tag === undefined ? {} : { tags: options.tag }),
  }
}

function scalingOf(options: PolicyOptions): Scaling | undefined {
  const { segments, eventsPerSecond, bytesPerSecond, segmentsMin } = options
  atMostOne({
    '--segments': segments,
    '--events-per-second': eventsPerSecond,
    '--bytes-per-second': bytesPerSecond,
  })
  const least = segmentsMin === undefined ? {} : { segmentsMin }
  if (eventsPerSecond !== undefined) return { eventsPerSecond, ...least }
  if (bytesPerSecond !== undefined) return { bytesPerSecond, ...least }
  if (segmentsMin !== undefined)
    throw new CommandError(
      Exit.usage,
      '--segments-min goes with --events-per-second or --bytes-per-second; a fixed number is --segments',
    )
  return segments === undefined ? undefined : { segments }
}

function retentionOf(options: PolicyOptions): Retention | undefined {
  const { retainFor, retainForMax, retainBytes, retainBytesMax } = options
  atMostOne({ '--retain-for': retainFor, '--retain-bytes': retainBytes })
  if (retainForMax !== undefined && retainFor === undefined)
    throw new CommandError(Exit.usage, '--retain-for-max goes with --retain-for')
  if (retainBytesMax !== undefined && retainBytes === undefined)
    throw new CommandError(Exit.usage, '--retain-bytes-max goes with --retain-bytes')
  if (retainFor !== undefined)
    return { ageMs: retainFor, ...(retainForMax === undefined ? {} : { ageMsMax: retainForMax }) }
  if (retainBytes !== undefined)
    return { bytes: retainBytes, ...(retainBytesMax === undefined ? {} : { bytesMax: retainBytesMax }) }
  return undefined
}

function atMostOne(options: Readonly<Record<string, unknown>>): void {
  const given = Object.keys(options).filter((name) => options[name] !== undefined)
  if (given.length > 1)
    throw new CommandError(Exit.usage, `${given.join(' and ')} exclude one another: give one of them`)
}

export function showScaling(scaling: Scaling | undefined): string {
  if (scaling === undefined) return 'none'
  if ('segments' in scaling) return `${showCount(scaling.segments, 'segment')}, fixed`
  const least = showCount(scaling.segmentsMin ?? 1, 'segment')
  if ('eventsPerSecond' in scaling)
    return `by events: about ${showCount(scaling.eventsPerSecond, 'event')} a second in a segment, at least ${least}`
  return `by bytes: about ${showBytes(scaling.bytesPerSecond)} a second in a segment, at least ${least}`
}

export function showRetention(retention: Retention | undefined): string {
  if (retention === undefined) return 'everything'
  if ('ageMs' in retention) {
    const most = retention.ageMsMax === undefined ? '' : `, at most ${showSpan(retention.ageMsMax)}`
    return `events of the last ${showSpan(retention.ageMs)}${most}`
  }
  const most = retention.bytesMax === undefined ? '' : `, at most ${showBytes(retention.bytesMax)}`
  return `the last ${showBytes(retention.bytes)}${most}`
}
