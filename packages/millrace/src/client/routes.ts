/** Which segment has a key, among some that have all keys together. */

/** Keys above the route before it, up to and including `high`, as Pravega's clients route them. */
export interface Route {
  readonly high: number
}

/** The routes are sorted. Undefined if there are none. */
export function routeOf<R extends Route>(routes: readonly R[], hash: number): R | undefined {
  let low = 0
  let high = routes.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (routes[middle]!.high < hash) low = middle + 1
    else high = middle
  }
  return routes[low]
}
