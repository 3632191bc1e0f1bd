/** The Java client at the other end of a line: it is told commands and answers in lines, as Peer.java says, or another such program. */
import { type Child, within } from './child.ts'
import { startJava } from './java.ts'
import type { NumberedEvent } from './numbered.ts'

interface Command {
  readonly lines: string[]
  readonly resolve: (lines: string[]) => void
  readonly reject: (error: Error) => void
}

export interface PeerProgram {
  readonly main?: string
  readonly args?: readonly string[]
}

/** More than any command takes: the client has calls that never end. */
const ANSWER_MS_MAX = 180_000

export class JavaPeer {
  readonly #child: Child
  readonly #commands: Command[] = []

  constructor(controller: string, { main = 'Peer', args = [] }: PeerProgram = {}) {
    this.#child = startJava(main, [controller, ...args], { onLine: (line) => this.#onLine(line) })
    void this.#child.ended.then((status) => {
      for (const { reject } of this.#commands.splice(0))
        reject(this.#child.failure(`ended with ${status} within a command`))
    })
  }

  /** Resolves with the lines of the answer before its `ok`. Commands run one after the other. */
  command(...words: readonly (string | number)[]): Promise<string[]> {
    const answer = new Promise<string[]>((resolve, reject) => {
      this.#commands.push({ lines: [], resolve, reject })
      this.#child.tell(words.join(' '))
    })
    return within(ANSWER_MS_MAX, `Java answers to ${words.join(' ')}`, answer)
  }

  /** The same for those that answer with events. */
  async events(...words: readonly (string | number)[]): Promise<NumberedEvent[]> {
    const lines = await this.command(...words)
    return lines.map((line) => {
      const [, writer, key, sequence] = line.split(' ').map(Number)
      return { writer: writer!, key: key!, sequence: sequence! }
    })
  }

  async close(): Promise<void> {
    this.#child.endInput()
    await this.#child.stop()
  }

  #onLine(line: string): void {
    const command = this.#commands[0]
    if (command === undefined) return
    if (line !== 'ok' && !line.startsWith('failed ')) {
      command.lines.push(line)
      return
    }
    this.#commands.shift()
    if (line === 'ok') command.resolve(command.lines)
    else command.reject(this.#child.failure(line))
  }
}
