/**
 * Runs `work` for every item, `atOnce` of them at a time. After a failure none is begun any more; rejects with the first
 * one once all that had begun are over, so that nothing goes on behind the caller's back.
 */
export async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values()
  let failed: { readonly error: unknown } | undefined
  async function worker(): Promise<void> {
    for (const item of left) {
      try {
        await work(item)
      } catch (error) {
        failed ??= { error }
      }
      if (failed !== undefined) return
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
  if (failed !== undefined) throw failed.error
}
