/**
 * Readers that ask for much and take nothing: connections that send one read after the other and never look at the replies.
 *
 *     node bench/stall.ts HOST PORT COUNT SEGMENT...
 */
import { connect, type Socket } from 'node:net'
import { encodeMessage } from '../packages/millrace/src/protocol/wire/codec.ts'

const READS = 16
const READ_BYTES = 1024 * 1024

const [host, port, count, ...segments] = process.argv.slice(2)
if (host === undefined || segments.length === 0) throw new Error('HOST, PORT, COUNT and segments are needed')

const hello = encodeMessage({ kind: 'hello', highVersion: 16, lowVersion: 5 })
const sockets: Socket[] = []
for (let index = 0; index < Number(count); index++) {
  const socket = connect({ host, port: Number(port) })
  socket.pause()
  // The server may well cut those that never take anything.
  socket.on('error', () => undefined)
  socket.write(hello)
  for (let read = 0; read < READS; read++)
    socket.write(
      encodeMessage({
        kind: 'read-segment',
        segment: segments[index % segments.length]!,
        offset: read * READ_BYTES,
        suggestedLength: READ_BYTES,
        delegationToken: '',
        requestId: Buffer.from([0, 0, 0, 0, 0, 0, 0, read + 1]).toString('latin1'),
      }),
    )
  sockets.push(socket)
}
// Sockets that nobody reads from do not keep a process.
setInterval(() => undefined, 60_000)
await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
process.stdout.write('{"event":"stalled"}\n')
