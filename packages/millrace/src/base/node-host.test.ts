import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clockSuite } from '../testing/acceptance/clock-suite.ts'
import { diskSuite } from '../testing/acceptance/disk-suite.ts'
import type { HostRunner } from '../testing/acceptance/host-runner.ts'
import { networkSuite } from '../testing/acceptance/network-suite.ts'
import { randomSuite } from '../testing/acceptance/random-suite.ts'
import { nodeHost } from './node-host.ts'

function runnerOn(hostName: string): HostRunner {
  return async (scenario) => {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-test-'))
    try {
      await scenario(nodeHost(), { directory, hostName })
    } finally {
      await rm(directory, { recursive: true })
    }
  }
}

const run = runnerOn('127.0.0.1')
clockSuite('Node', run)
diskSuite('Node', run)
networkSuite('Node', run)
networkSuite('Node over IPv6', runnerOn('::1'))
randomSuite('Node', run)
