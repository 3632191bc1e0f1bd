import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../base/host.ts'
import type { ScalingPolicy } from '../../protocol/controller/messages.ts'
import { segmentIdOf, segmentName } from '../../protocol/names.ts'
import type { Segment } from '../../segment-store/container-state.ts'
import { SegmentLoads } from '../../segment-store/load.ts'
import { fixed } from '../../testing/controller-fixture.ts'
import { deferred } from '../../testing/deferred.ts'
import { byEvents } from '../../testing/load-model.ts'
import { simulate } from '../../testing/sim/simulate.ts'
import type { World } from '../../testing/sim/world.ts'
import { type KeyRange, splitEvenly } from '../stream-segments.ts'
import { type AutoScaleEvent, AutoScaler } from './auto-scaler.ts'
import type { RememberedStreams } from './remembered-streams.ts'
import type { LoadScale, ScalableStreams, StreamDescription, StreamName } from './scalable-streams.ts'
import type { AutoScaleSettings } from './settings.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const DAY = 24 * 60 * MINUTE
const TARGET = 100

interface SceneSegment extends KeyRange {
  readonly id: bigint
  readonly splitAtMs: number | undefined
  readonly stored: Segment
}

interface SceneStream {
  readonly name: string
  policy: ScalingPolicy
  isOpen: boolean
  epoch: number
  segments: readonly SceneSegment[]
  /** Events a second, over all keys. */
  rate: number
}

/** Streams, what is appended to them, and an auto-scaler that can be restarted. */
class Scene {
  readonly world: World
  readonly clock: Clock
  readonly events: AutoScaleEvent[] = []
  /** What was asked of streams and of the list, in this order. */
  readonly calls: { readonly call: string; readonly atMs: number }[] = []
  readonly remembered = new Set<string>()
  loads: SegmentLoads
  scaler: AutoScaler | undefined
  wakeUps = 0
  /** Called with each call, before it is carried out. */
  onCall: (call: string) => Promise<void> | void = () => undefined
  readonly #streams = new Map<string, SceneStream>()

  constructor(world: World) {
    this.world = world
    const { clock } = world.node('server').host
    this.clock = {
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      defer: (callback) => clock.defer(callback),
      setTimer: (delayMs, callback, options) => {
        strictEqual(options?.weak, true, 'An idle process may end')
        return clock.setTimer(delayMs, () => {
          this.wakeUps++
          callback()
        })
      },
    }
    this.loads = new SegmentLoads(this.clock)
  }

  start(settings: Partial<AutoScaleSettings> = {}): void {
    this.loads = new SegmentLoads(this.clock)
    this.scaler = new AutoScaler(
      {
        clock: this.clock,
        loads: this.loads,
        streams: this.#scalableStreams(),
        remembered: this.#rememberedStreams(),
        onEvent: (event) => this.events.push(event),
      },
      settings,
    )
    this.scaler.start()
  }

  stream(name: string, options: { policy?: ScalingPolicy; segments?: number } = {}): SceneStream {
    const policy = options.policy ?? byEvents(TARGET)
    const ranges = splitEvenly(options.segments ?? policy.minNumSegments)
    const stream: SceneStream = { name, policy, isOpen: true, epoch: 0, segments: [], rate: 0 }
    stream.segments = ranges.map((range, number) => newSegment(stream, { ...range, number }))
    this.#streams.set(name, stream)
    return stream
  }

  /** Time passes while events come. */
  async pass(ms: number): Promise<void> {
    const isBusy = [...this.#streams.values()].some(({ rate }) => rate > 0)
    if (!isBusy) return this.world.sleep(ms)
    for (let left = ms; left > 0; left -= 200) {
      await this.world.sleep(Math.min(left, 200))
      for (const { segments, rate } of this.#streams.values())
        for (const { stored, low, high } of segments) {
          const eventCount = (rate * (high - low)) / 5
          if (eventCount > 0) this.loads.appended({ segment: stored, eventCount, length: eventCount })
        }
    }
  }

  told(kind: AutoScaleEvent['kind']): readonly AutoScaleEvent[] {
    return this.events.filter((event) => event.kind === kind)
  }

  callsOf(prefix: string): readonly { readonly call: string; readonly atMs: number }[] {
    return this.calls.filter(({ call }) => call.startsWith(prefix))
  }

  async #call(call: string): Promise<void> {
    this.calls.push({ call, atMs: this.world.nowMs })
    await this.onCall(call)
  }

  #scalableStreams(): ScalableStreams {
    return {
      describe: async ({ scope, stream: name }): Promise<StreamDescription | undefined> => {
        await this.#call(`describe ${scope}/${name}`)
        const stream = this.#streams.get(`${scope}/${name}`)
        if (stream === undefined) return undefined
        const segments = stream.segments.map(({ id, low, high, splitAtMs }) => {
          return {
            id,
            low,
            high,
            splitAgeMs: splitAtMs === undefined ? undefined : this.world.nowMs - splitAtMs,
          }
        })
        return { policy: stream.policy, isOpen: stream.isOpen, segments }
      },
      scale: async ({ scope, stream: name }, change) => {
        await this.#call(`scale ${scope}/${name}`)
        const stream = this.#streams.get(`${scope}/${name}`)!
        if (!stream.isOpen) return { refused: 'The stream is sealed' }
        this.scale(stream, change)
        return 'done'
      },
    }
  }

  /** By whomever. */
  scale(stream: SceneStream, change: Pick<LoadScale, 'seal' | 'into'>): void {
    stream.epoch++
    const sealed = stream.segments.filter(({ id }) => change.seal.includes(id))
    strictEqual(sealed.length, change.seal.length)
    for (const { stored } of sealed) stored.sealed = true
    const splitAtMs = change.into.length > sealed.length ? this.world.nowMs : undefined
    const made = change.into.map((range, i) =>
      newSegment(stream, { ...range, number: stream.epoch * 1000 + i, splitAtMs }),
    )
    const kept = stream.segments.filter((segment) => !sealed.includes(segment))
    stream.segments = [...kept, ...made].toSorted((a, b) => a.low - b.low)
  }

  #rememberedStreams(): RememberedStreams {
    const textOf = ({ scope, stream }: StreamName): string => `${scope}/${stream}`
    const call = (text: string): Promise<void> => this.#call(text)
    const { remembered } = this
    return {
      add: async (name) => {
        await call(`add ${textOf(name)}`)
        remembered.add(textOf(name))
      },
      remove: async (name) => {
        await call(`remove ${textOf(name)}`)
        remembered.delete(textOf(name))
      },
      async *list() {
        const names = [...remembered]
        await call('list')
        for (let from = 0; from < names.length; from += 3) {
          yield names.slice(from, from + 3).map((name) => {
            const [scope = '', stream = ''] = name.split('/')
            return { scope, stream }
          })
        }
      },
    }
  }
}

function newSegment(
  { name, epoch }: SceneStream,
  segment: KeyRange & { number: number; splitAtMs?: number | undefined },
): SceneSegment {
  const { low, high, number, splitAtMs } = segment
  const [scope = '', stream = ''] = name.split('/')
  const stored = {
    name: segmentName({ scope, stream, number, epoch }),
    type: 'stream',
    gone: false,
    sealed: false,
    attributes: new Map(),
  } as unknown as Segment
  return { id: segmentIdOf({ number, epoch }), low, high, splitAtMs, stored }
}

function play(name: string, scenario: (scene: Scene) => Promise<void>): void {
  test(name, async () => {
    await simulate(name, (world) => scenario(new Scene(world)), { limitMs: 40 * DAY })
  })
}

play('an idle server is woken a moment after its start, and then never again', async (scene) => {
  scene.stream('shop/orders')
  scene.start()
  await scene.pass(DAY)
  ok(scene.wakeUps <= 2, `${scene.wakeUps} wake-ups`)
  deepStrictEqual(
    scene.calls.map(({ call }) => call),
    ['list'],
  )
})

play('load splits a stream within 10 s, merges follow, and then all is quiet', async (scene) => {
  const orders = scene.stream('shop/orders', { policy: byEvents(TARGET, { scaleFactor: 4 }) })
  scene.start()
  await scene.pass(10 * MINUTE)
  orders.rate = 3 * TARGET
  await scene.pass(10 * SECOND)
  strictEqual(orders.segments.length, 3)
  const [split] = scene.told('scaled')
  ok(split?.kind === 'scaled')
  deepStrictEqual(
    [split.scope, split.stream, split.direction, split.sealed, split.created],
    ['shop', 'orders', 'split', 1, 3],
  )
  ok(/^2\d\d events\/s for [56] s, target 100: split in 3$/.test(split.detail), split.detail)
  // A crash behind the scale finds it remembered.
  deepStrictEqual(
    scene.calls.map(({ call }) => call).filter((call) => !call.startsWith('describe')),
    ['list', 'add shop/orders', 'scale shop/orders'],
  )
  await scene.pass(5 * MINUTE)
  orders.rate = 0
  const before = scene.wakeUps
  await scene.pass(8 * MINUTE)
  strictEqual(orders.segments.length, 1)
  const merge = scene.told('scaled')[1]
  ok(merge?.kind === 'scaled' && merge.direction === 'merge')
  strictEqual(scene.remembered.size, 0)
  ok(scene.wakeUps - before < 100, `${scene.wakeUps - before} wake-ups`)
  const after = scene.wakeUps
  await scene.pass(DAY)
  strictEqual(scene.wakeUps, after)
  strictEqual(scene.told('failed').length, 0)
})

play(
  'P11: a ramp from 1,000 to 50,000 events a second is followed within 10 s, and merged within 90 s of its end',
  async (scene) => {
    const target = 5000
    const orders = scene.stream('shop/orders', { policy: byEvents(target) })
    scene.start({ holdOffMs: 30 * SECOND })
    const rateAt = (second: number): number => 1000 + (49_000 * Math.min(60, Math.max(0, second))) / 60
    for (let second = 1; second <= 120; second++) {
      orders.rate = rateAt(second)
      await scene.pass(SECOND)
      const needed = Math.ceil(rateAt(second - 10) / target)
      const count = orders.segments.length
      ok(count >= needed, `${count} segments after ${second} s, ${needed} were needed 10 s before`)
    }
    ok(orders.segments.length <= 20, `${orders.segments.length} segments`)
    orders.rate = 0
    await scene.pass(90 * SECOND)
    strictEqual(orders.segments.length, 1)
    ok(scene.told('scaled').length <= 8, `${scene.told('scaled').length} scales`)
  },
)

play('an append ends the sleep, and the load before it does not blur what comes', async (scene) => {
  const orders = scene.stream('shop/orders')
  scene.start()
  orders.rate = 50
  await scene.pass(MINUTE)
  orders.rate = 0
  await scene.pass(3 * MINUTE)
  orders.rate = 10 * TARGET
  await scene.pass(7 * SECOND)
  strictEqual(orders.segments.length, 2)
})

play(
  'while there is traffic it looks once a second, and streams of a fixed number are left alone',
  async (scene) => {
    const orders = scene.stream('shop/orders', { policy: fixed(2) })
    scene.start()
    orders.rate = 100 * TARGET
    await scene.pass(2 * MINUTE)
    ok(scene.wakeUps <= 123, `${scene.wakeUps} wake-ups`)
    ok(scene.callsOf('describe').length <= 5, `${scene.callsOf('describe').length} calls`)
    strictEqual(scene.callsOf('scale').length, 0)
  },
)

play('streams that were split before a restart are merged though nothing comes', async (scene) => {
  const names = Array.from({ length: 8 }, (_, i) => `shop/orders${i}`)
  const streams = names.map((name) => scene.stream(name, { segments: 4 }))
  // One was merged by somebody else meanwhile, one sealed, one deleted.
  for (const name of [...names, 'shop/gone']) scene.remembered.add(name)
  streams[1]!.isOpen = false
  scene.scale(streams[2]!, { seal: streams[2]!.segments.map(({ id }) => id), into: splitEvenly(1) })
  scene.start()
  await scene.pass(2 * MINUTE)
  deepStrictEqual(
    streams.map(({ segments }) => segments.length),
    [1, 4, 1, 1, 1, 1, 1, 1],
  )
  strictEqual(scene.remembered.size, 0)
  strictEqual(scene.told('failed').length, 0)
  const before = scene.wakeUps
  await scene.pass(DAY)
  strictEqual(scene.wakeUps, before)
})

play('what a split made shortly before a restart is merged when the ten minutes are over', async (scene) => {
  const orders = scene.stream('shop/orders')
  scene.start()
  orders.rate = 2 * TARGET
  await scene.pass(20 * SECOND)
  strictEqual(orders.segments.length, 2)
  await scene.scaler?.close()
  orders.rate = 0
  scene.start()
  const before = scene.wakeUps
  await scene.pass(9 * MINUTE)
  strictEqual(orders.segments.length, 2)
  await scene.pass(2 * MINUTE)
  strictEqual(orders.segments.length, 1)
  ok(scene.wakeUps - before < 30, `${scene.wakeUps - before} wake-ups`)
})

play('a stream that somebody scales by hand is understood within seconds', async (scene) => {
  const orders = scene.stream('shop/orders')
  scene.start()
  orders.rate = 0.9 * TARGET
  await scene.pass(MINUTE)
  scene.scale(orders, { seal: [orders.segments[0]!.id], into: splitEvenly(2) })
  orders.rate = 3 * TARGET
  await scene.pass(10 * SECOND)
  strictEqual(orders.segments.length, 4)
  deepStrictEqual(scene.told('refused'), [])
})

play('one stream that fails is tried again later and later, and others do not mind', async (scene) => {
  const [bad, good] = [scene.stream('shop/bad'), scene.stream('shop/good')]
  scene.onCall = (call) => {
    if (call === 'describe shop/bad') throw new Error('out of reach')
  }
  scene.start()
  for (const stream of [bad, good]) stream.rate = 2 * TARGET
  await scene.pass(2 * MINUTE)
  strictEqual(good.segments.length, 2)
  strictEqual(bad.segments.length, 1)
  const failures = scene.told('failed')
  ok(failures.length >= 4 && failures.length <= 7, `${failures.length} failures in two minutes`)
  ok(failures.every((event) => event.kind === 'failed' && event.name?.stream === 'bad'))
  scene.onCall = () => undefined
  await scene.pass(2 * MINUTE)
  strictEqual(bad.segments.length, 2)
})

play('a refusal is told, and asked again later and later', async (scene) => {
  const orders = scene.stream('shop/orders')
  scene.onCall = (call) => {
    if (call === 'scale shop/orders') orders.isOpen = false
    else if (call.startsWith('describe')) orders.isOpen = true
  }
  scene.start()
  orders.rate = 2 * TARGET
  await scene.pass(2 * MINUTE)
  const refused = scene.told('refused')
  ok(refused.length >= 4 && refused.length <= 7, `${refused.length} refusals in two minutes`)
  ok(refused[0]?.kind === 'refused')
  strictEqual(refused[0].reason, 'The stream is sealed')
  ok(refused[0].detail.endsWith('split in 2'))
})

play('a scale that hangs holds up its own stream only, and closing waits for it', async (scene) => {
  const [slow, quick] = [scene.stream('shop/slow'), scene.stream('shop/quick')]
  const gate = deferred<void>()
  scene.onCall = (call) => (call === 'scale shop/slow' ? gate.promise : undefined)
  scene.start()
  for (const stream of [slow, quick]) stream.rate = 4 * TARGET
  await scene.pass(MINUTE)
  ok(quick.segments.length >= 4)
  strictEqual(slow.segments.length, 1)
  strictEqual(scene.callsOf('scale shop/slow').length, 1)
  let isClosed = false
  const closed = scene.scaler!.close().then(() => {
    isClosed = true
  })
  await scene.pass(SECOND)
  strictEqual(isClosed, false)
  gate.resolve()
  await closed
  const before = { wakeUps: scene.wakeUps, calls: scene.calls.length }
  await scene.pass(MINUTE)
  deepStrictEqual({ wakeUps: scene.wakeUps, calls: scene.calls.length }, before)
})

play('what fails because the store was closed under it is not told', async (scene) => {
  const orders = scene.stream('shop/orders')
  const gate = deferred<void>()
  scene.onCall = () => gate.promise
  scene.start()
  orders.rate = 2 * TARGET
  await scene.pass(3 * SECOND)
  const closed = scene.scaler!.close()
  gate.reject(new Error('closed'))
  await closed
  deepStrictEqual(scene.events, [])
})

play('a store that cannot be reached at first is asked again', async (scene) => {
  const orders = scene.stream('shop/orders', { segments: 4 })
  scene.remembered.add('shop/orders')
  let isReachable = false
  scene.onCall = () => {
    if (!isReachable) throw new Error('out of reach')
  }
  scene.start()
  await scene.pass(MINUTE)
  const failures = scene.told('failed')
  ok(failures.length >= 4 && failures.length <= 7, `${failures.length} failures in a minute`)
  isReachable = true
  await scene.pass(3 * MINUTE)
  strictEqual(orders.segments.length, 1)
})

play('a hot key is left alone, and that is told once', async (scene) => {
  const orders = scene.stream('shop/orders', { policy: byEvents(TARGET, { scaleFactor: 8 }) })
  scene.start()
  // All of it goes to the segment that has the key.
  const key = 0.3
  for (let look = 0; look < 600; look++) {
    await scene.world.sleep(200)
    const hot = orders.segments.find(({ low, high }) => low <= key && key < high)!
    scene.loads.appended({ segment: hot.stored, eventCount: 2 * TARGET, length: 1 })
  }
  ok(orders.segments.length <= 15, `${orders.segments.length} segments`)
  const told = scene.told('left-alone')
  strictEqual(told.length, 1)
  ok(told[0]?.kind === 'left-alone' && /as the load of a single key does/.test(told[0].detail))
})

play('thousands of streams at once are looked after in turn', async (scene) => {
  const streams = Array.from({ length: 2000 }, (_, i) => scene.stream(`shop/orders${i}`))
  let running = 0
  let runningMax = 0
  scene.onCall = async () => {
    runningMax = Math.max(runningMax, ++running)
    await scene.world.sleep(5)
    running--
  }
  scene.start()
  for (const stream of streams) stream.rate = 1
  await scene.pass(3 * SECOND)
  strictEqual(scene.callsOf('describe').length, 2000)
  ok(runningMax <= 64, `${runningMax} calls at once`)
})

test('settings that cannot be are refused before anything begins', () => {
  const never = (): never => {
    throw new Error('Nothing is asked for')
  }
  const clock = { now: never, monotonicMs: never, setTimer: never, defer: never }
  const streams = { describe: never, scale: never }
  const remembered = { add: never, remove: never, list: never }
  const loads = { loads: never, onceAppended: never }
  throws(() => new AutoScaler({ clock, loads, streams, remembered }, { coldMs: 5 }), {
    name: 'ControllerError',
    code: 'invalid-argument',
  })
})
