import { clockSuite } from '../acceptance/clock-suite.ts'
import { diskSuite } from '../acceptance/disk-suite.ts'
import type { HostRunner } from '../acceptance/host-runner.ts'
import { networkSuite } from '../acceptance/network-suite.ts'
import { randomSuite } from '../acceptance/random-suite.ts'
import { simulate } from './simulate.ts'

const run: HostRunner = async (scenario) => {
  for (let seed = 1; seed <= 10; seed++) {
    await simulate(seed, async (world) => {
      const { host } = world.node('a')
      world.network.weather.slowReaders = seed % 2 === 0
      await host.disk.makeDirectory('data')
      await scenario(host, { directory: 'data', hostName: 'a' })
    })
  }
}

clockSuite('Simulated', run)
diskSuite('Simulated', run)
networkSuite('Simulated', run)
randomSuite('Simulated', run)
