/** What a value must look like, as the schemas of many libraries say it: https://standardschema.dev, version 1. */
import { invalidArgument, invalidValue, isMillraceError, type ValueIssue } from './errors.ts'

/** Zod, Valibot, ArkType and others implement it. Only schemas that answer at once are possible here. */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': StandardSchemaProps<Input, Output>
}

export interface StandardSchemaProps<Input = unknown, Output = Input> {
  readonly version: 1
  readonly vendor: string
  readonly validate: (value: unknown) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>
  /** For the compiler alone. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined
}

export type StandardSchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardSchemaIssue[] }

export interface StandardSchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** What the schema makes of a value. Throws `invalid-value`, or `invalid-argument` if the schema is none for us. */
export type Check<T> = (value: unknown) => T

export function checkBy<T>(stream: string, schema: StandardSchemaV1<unknown, T>): Check<T> {
  const { '~standard': standard } = checkedSchema(stream, schema)
  return (value) => {
    const result = validate(stream, standard, value)
    if (result.issues === undefined) return result.value
    throw invalidValue(stream, issuesOf(result.issues))
  }
}

function validate<T>(
  stream: string,
  standard: StandardSchemaProps<unknown, T>,
  value: unknown,
): StandardSchemaResult<T> {
  let result: StandardSchemaResult<T> | Promise<StandardSchemaResult<T>>
  try {
    result = standard.validate(value)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw invalidValue(stream, [{ message, path: [] }], error)
  }
  if (typeof result !== 'object' || 'then' in result) {
    // Nobody waits for what it promises, whatever that is.
    Promise.resolve(result).catch(() => undefined)
    throw invalidArgument(`The schema of ${stream} does not answer at once, which a schema here has to`)
  }
  return result
}

function issuesOf(issues: readonly StandardSchemaIssue[]): readonly ValueIssue[] {
  // A schema that says only that something is wrong is believed, too.
  if (issues.length === 0) return [{ message: 'it does not say why', path: [] }]
  return issues.map(({ message, path = [] }) => ({ message, path: Array.from(path, showStep) }))
}

function showStep(step: PropertyKey | { readonly key: PropertyKey }): string | number {
  const key = typeof step === 'object' ? step.key : step
  return typeof key === 'symbol' ? String(key) : key
}

/** Programs without a compiler get it wrong when they make the stream, not with the first event. */
function checkedSchema<T>(
  stream: string,
  schema: StandardSchemaV1<unknown, T>,
): StandardSchemaV1<unknown, T> {
  const standard: unknown = (schema as Partial<StandardSchemaV1> | null)?.['~standard']
  const validate = (standard as Partial<StandardSchemaProps> | undefined)?.validate
  if (typeof validate === 'function') return schema
  throw invalidArgument(`The schema of ${stream} is no Standard Schema: it has no '~standard.validate'`)
}

/** Of what was thrown while an event was decoded: the schema itself cannot be used, and no event is to blame. */
export function isUnusableSchema(error: unknown): boolean {
  return isMillraceError(error) && error.code === 'invalid-argument'
}
