/**
 * A client that waits for a server: `node bench/first.ts scope=... stream=...` takes a URI from stdin, then says `acked` when an
 * event of its own is durable and `read` when it has the first event of the stream.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { connect } from 'millrace'
import { streamOf } from './client.ts'
import { EventSource } from './events.ts'
import { readArguments } from './workload.ts'

const args = readArguments(process.argv.slice(2))
const scope = args.get('scope') ?? 'bench'
const input = createInterface({ input: process.stdin })
process.stdout.write('{"event":"waiting"}\n')
const [uri] = (await once(input, 'line')) as [string]
input.close()
await using store = await connect(uri)
const own = streamOf(store, { scope, stream: 'first' }, 1)
await own.write(new EventSource({ eventBytes: 100, writer: 0 }).next(0))
process.stdout.write('{"event":"acked"}\n')
for await (const _event of streamOf(store, { scope, stream: args.get('stream') ?? '' }, 1).read()) break
process.stdout.write('{"event":"read"}\n')
