/**
 * `power-server.ts --data DIR --controller-port N --segment-store-port N --json`: the real server on a disk that forgets what was not
 * synced when the process is killed, as one does whose power fails. MILLRACE_TEST_POWER_SEED decides what is lost. A SIGUSR2 plants
 * a bug: the next sync does nothing, and no other is answered.
 */
import { parseArgs } from 'node:util'
import { showAddress } from '../packages/millrace/src/base/host.ts'
import { nodeHost } from '../packages/millrace/src/base/node-host.ts'
import { startServer } from '../packages/millrace/src/server/server.ts'
import { powerDisk } from '../packages/millrace/src/testing/power-disk.ts'
import { lyingDisk } from './lying-disk.ts'

/** The last one only: when more are missing, the log notices by itself that frames before others are, and does not open. */
const PRETENDED_SYNCS = 1

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    'controller-port': { type: 'string' },
    'segment-store-port': { type: 'string' },
    json: { type: 'boolean' },
  },
})
const real = nodeHost()
const seed = process.env['MILLRACE_TEST_POWER_SEED'] ?? '1'
const disk = lyingDisk(powerDisk(real.disk, { seed }))
process.once('SIGUSR2', () => disk.lie(PRETENDED_SYNCS))
const server = await startServer({
  host: { ...real, disk },
  data: values.data ?? './millrace-data',
  listen: {
    controller: { host: '127.0.0.1', port: Number(values['controller-port'] ?? 0) },
    segmentStore: { host: '127.0.0.1', port: Number(values['segment-store-port'] ?? 0) },
  },
  onEvent: (event) => {
    if (event.kind === 'replaying') return
    console.error(JSON.stringify(event))
    if (event.kind === 'store-failed') process.exit(1)
  },
})
const controller = `tcp://${showAddress(server.controllerAddress!)}`
console.log(JSON.stringify({ event: 'ready', controller }))
process.once('SIGTERM', () => void server.close().then(() => process.exit(0)))
