import { ok, strictEqual } from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { HostRunner } from './host-runner.ts'

/** What every Random does. */
export function randomSuite(name: string, run: HostRunner): void {
  void describe(`${name}: random`, () => {
    test('whole numbers stay below their bound and spread over all of it', () =>
      run(async ({ random }) => {
        const counts = Array.from({ length: 7 }, () => 0)
        for (let i = 0; i < 7000; i++) {
          const value = random.integer(7)
          ok(Number.isInteger(value) && value >= 0 && value < 7)
          counts[value] = counts[value]! + 1
        }
        for (const count of counts) ok(count > 800 && count < 1200, `${count} of about 1000`)
        strictEqual(random.integer(1), 0)
      }))

    test('the largest bound is 2^48, and high halves are drawn too', () =>
      run(async ({ random }) => {
        let high = 0
        for (let i = 0; i < 200; i++) {
          const value = random.integer(2 ** 48)
          ok(Number.isSafeInteger(value) && value < 2 ** 48)
          if (value >= 2 ** 47) high++
        }
        ok(high > 50 && high < 150, `${high} of about 100`)
      }))

    test('ratios lie in [0, 1) around a half', () =>
      run(async ({ random }) => {
        let sum = 0
        for (let i = 0; i < 2000; i++) {
          const value = random.ratio()
          ok(value >= 0 && value < 1)
          sum += value
        }
        ok(sum > 900 && sum < 1100, `${sum} of about 1000`)
      }))

    test('bytes come in the length asked for, and two draws differ', () =>
      run(async ({ random }) => {
        for (const length of [0, 1, 16, 255, 5000]) strictEqual(random.bytes(length).length, length)
        const first = random.bytes(16)
        const copy = Buffer.from(first)
        ok(!first.equals(random.bytes(16)))
        for (let i = 0; i < 1000; i++) random.bytes(16)
        ok(first.equals(copy), 'what was handed out does not change')
      }))
  })
}
