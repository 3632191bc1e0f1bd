import type { Host } from './host.ts'
import { nodeClock } from './node-clock.ts'
import { nodeDisk } from './node-disk.ts'
import { nodeNetwork } from './node-network.ts'
import { nodeRandom } from './node-random.ts'

/** The real machine. */
export function nodeHost(): Host {
  return { clock: nodeClock, disk: nodeDisk, network: nodeNetwork, random: nodeRandom }
}
