/** `millrace noun verb`: what all nouns have in common. */
import { Command } from 'commander'
import { addServerOption, type ServerOption } from './session.ts'

export interface VerbOptions extends ServerOption {
  readonly json?: boolean
  readonly yes?: boolean
  readonly all?: boolean
  readonly ifNotExists?: boolean
}

/** Adds a verb to its noun; `takes` says its arguments as commander writes them. */
export function addVerb(noun: Command, name: string, takes: readonly string[], description: string): Command {
  const verb = new Command(name).description(description)
  for (const argument of takes) verb.argument(argument)
  noun.addCommand(addServerOption(verb).option('--json', 'print JSON'))
  return verb
}
