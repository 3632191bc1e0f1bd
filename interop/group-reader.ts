/** `group-reader.ts URI ID`: reads with the group of `mixed.ts` as this reader and prints key and sequence of every event. */
import { connect } from 'millrace'
import { openOrders } from './mixed.ts'

const [uri = '', id = ''] = process.argv.slice(2)
const store = await connect(uri)
for await (const { value } of openOrders(store).group('billing').reader({ id }))
  process.stdout.write(`${value.key} ${value.sequence}\n`)
