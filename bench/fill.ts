/** Writes a number of events as fast as it goes: `node bench/fill.ts uri=... scope=... stream=... eventBytes=... segments=... events=...` */
import { connect } from 'millrace'
import { streamOf } from './client.ts'
import { EventSource } from './events.ts'
import { readArguments } from './workload.ts'

const args = readArguments(process.argv.slice(2))
const need = (name: string): string => {
  const value = args.get(name)
  if (value === undefined) throw new Error(`The argument ${name}=... is missing`)
  return value
}

const events = Number(need('events'))
await using store = await connect(need('uri'))
const stream = streamOf(store, { scope: need('scope'), stream: need('stream') }, Number(need('segments')))
await stream.create({ scaling: { segments: Number(need('segments')) } })
const source = new EventSource({ eventBytes: Number(need('eventBytes')), writer: 0 })
const writer = stream.writer()
while (source.made < events) {
  const room = writer.push(source.next(0))
  if (room !== undefined) await room
}
await writer.flush()
process.stdout.write(`${JSON.stringify({ event: 'filled', acknowledged: [source.made] })}\n`)
