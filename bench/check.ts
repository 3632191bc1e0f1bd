/**
 * Reads a stream from its head to its tail and checks every event: `node bench/check.ts uri=... scope=... stream=...
 * eventBytes=... acknowledged=N,N,...`. Says `checked`, with what is wrong if anything is.
 */
import { connect } from 'millrace'
import { streamOf } from './client.ts'
import { EventChecker } from './events.ts'
import { readArguments } from './workload.ts'

const args = readArguments(process.argv.slice(2))
const need = (name: string): string => {
  const value = args.get(name)
  if (value === undefined) throw new Error(`The argument ${name}=... is missing`)
  return value
}

const eventBytes = Number(need('eventBytes'))
const acknowledged = need('acknowledged').split(',').map(Number)
await using store = await connect(need('uri'))
const checker = new EventChecker(eventBytes)
const begin = performance.now()
const stream = streamOf(store, { scope: need('scope'), stream: need('stream') }, 1)
for await (const batch of stream.read({ until: 'tail' }).batches())
  for (const { value } of batch) checker.see(value)
const seconds = (performance.now() - begin) / 1000
process.stdout.write(
  `${JSON.stringify({
    event: 'checked',
    events: checker.seen,
    megabytesPerSecond: (checker.seen * eventBytes) / 1e6 / seconds,
    problem: checker.finish(acknowledged),
  })}\n`,
)
