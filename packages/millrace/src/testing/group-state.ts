/** The state of a reader group as somebody else sees it, for tests of what readers make of it. */
import { GroupLog } from '../client/group/group-log.ts'
import { GroupSynchronizer } from '../client/group/group-synchronizer.ts'
import { Locations } from '../client/locations.ts'
import { segmentCalls } from '../client/segment-client.ts'
import { StorePool } from '../client/store-pool.ts'
import { groupStreamOf, parseScopedName, segmentNameOfId } from '../protocol/names.ts'
import type { Server } from '../server/server.ts'

/** As of now; `fetch` for later. */
export async function groupState(
  { server }: { readonly server: Server },
  group: string,
): Promise<GroupSynchronizer> {
  const { host } = server
  const controller = server.connectController()
  const { scope, name } = parseScopedName(group)
  const stream = groupStreamOf(name)
  const { segmentRanges } = await controller.getCurrentSegments({ scope, stream })
  const id = segmentRanges[0]!.segmentId.segmentId
  const { endpoint, port } = await controller.getURI({ streamInfo: { scope, stream }, segmentId: id })
  const pool = new StorePool(host)
  const locations = new Locations(async () => ({ host: endpoint, port }))
  const segments = segmentCalls({ host, locations, pool })
  const log = new GroupLog(
    { host, locations, pool, segments },
    { group, segment: segmentNameOfId(scope, stream, id) },
  )
  const synchronizer = new GroupSynchronizer(host, log)
  await synchronizer.fetch()
  return synchronizer
}
