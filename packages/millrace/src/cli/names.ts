/** Names as they are given to commands: `scope/name`, or a name alone in the scope `default`. */
import { type NamedThing, type ScopedName, userNameProblem } from '../protocol/names.ts'
import { CommandError, Exit } from './exit.ts'

const DEFAULT_SCOPE = 'default'

/** What the system has named itself can be looked at, too. */
export function parseName(text: string): ScopedName {
  const parts = text.split('/')
  if (parts.length > 2 || parts.includes(''))
    throw new CommandError(
      Exit.usage,
      `'${text}' is no name: write scope/name, or a name in scope ${DEFAULT_SCOPE}`,
    )
  const [first = '', second] = parts
  return second === undefined ? { scope: DEFAULT_SCOPE, name: first } : { scope: first, name: second }
}

/** The same for what a user makes. */
export function parseNewName(thing: NamedThing, text: string): ScopedName {
  const name = parseName(text)
  checkNewName('scope', name.scope)
  checkNewName(thing, name.name)
  return name
}

export function checkNewName(thing: NamedThing, name: string): void {
  const problem = userNameProblem(thing, name)
  if (problem !== undefined) throw new CommandError(Exit.usage, problem)
}
