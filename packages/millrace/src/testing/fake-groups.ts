/** Reader groups for the fake controller, which scales when a test wants it to. */
import type { ReaderGroupConfiguration } from '../protocol/controller/messages.ts'
import { callByName, type ControllerService, serviceOf } from '../protocol/controller/service.ts'
import { groupStreamOf, scopedName } from '../protocol/names.ts'
import type { FakeController } from './fake-controller.ts'

/** The fake controller's service, and in it groups as far as their readers need the controller. */
export function withGroups(controller: FakeController): ControllerService {
  const groups = new Map<string, ReaderGroupConfiguration>()
  const own: Partial<ControllerService> = {
    async createReaderGroup(config) {
      const name = scopedName(config.scope, config.readerGroupName)
      const known = groups.get(name)
      if (known !== undefined) return { status: 0, config: known }
      groups.set(name, config)
      await controller.service.createStream({
        streamInfo: { scope: config.scope, stream: groupStreamOf(config.readerGroupName) },
        scalingPolicy: { scaleType: 0, targetRate: 0, scaleFactor: 0, minNumSegments: 1 },
        timestampAggregationTimeout: 0n,
        rolloverSizeBytes: 0n,
      })
      return { status: 0, config }
    },
    async getReaderGroupConfig({ scope, readerGroup }) {
      const config = groups.get(scopedName(scope, readerGroup))
      return config === undefined ? { status: 2 } : { status: 0, config }
    },
    async updateReaderGroup(config) {
      const name = scopedName(config.scope, config.readerGroupName)
      if (groups.get(name)?.generation !== config.generation)
        return { status: 3, generation: config.generation }
      const generation = config.generation + 1n
      groups.set(name, { ...config, generation })
      return { status: 0, generation }
    },
  }
  return serviceOf(async (rpc, request, context) =>
    callByName(rpc in own ? { ...controller.service, ...own } : controller.service, {
      rpc,
      request,
      context,
    }),
  )
}
