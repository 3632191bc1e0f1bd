import { World } from './world.ts'

export interface SimulationOptions {
  /** Virtual time after which a scenario that still waits has failed. */
  readonly limitMs?: number
  /** The command that runs a seed again; ` --seed S` is put behind it. */
  readonly command?: string
}

export interface Simulation<T> {
  readonly value: T
  /** The same for the same seed and the same code. */
  readonly traceHash: string
  readonly events: number
  readonly simulatedMs: number
}

const LIMIT_MS = 3600 * 1000
const COMMAND = 'npm run sim --'

export class SimulationError extends Error {
  override readonly name = 'SimulationError'
  readonly seed: string
  /** What happened last, oldest first. */
  readonly recent: readonly string[]

  constructor(message: string, options: { seed: string; recent: readonly string[]; cause: unknown }) {
    super(message, { cause: options.cause })
    this.seed = options.seed
    this.recent = options.recent
  }
}

/** Plays a scenario in a world of its own. Rejects with the seed and how to play it again. */
export async function simulate<T>(
  seed: string | number,
  scenario: (world: World) => Promise<T>,
  options?: SimulationOptions,
): Promise<Simulation<T>> {
  const world = new World(String(seed))
  try {
    const value = await world.run(scenario(world), options?.limitMs ?? LIMIT_MS)
    const { hash, entries } = world.trace
    return { value, traceHash: hash, events: entries, simulatedMs: world.nowMs }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new SimulationError(
      `Seed ${seed} failed after ${world.nowMs} ms of simulated time: ${reason}\n` +
        `Play it again: ${options?.command ?? COMMAND} --seed ${seed}`,
      { seed: String(seed), recent: world.trace.recent, cause: error },
    )
  }
}
