/**
 * Pravega 0.13 in the form in which an acknowledged event is on the disk, as the peer to compare with: ZooKeeper, one bookie that
 * syncs its journal, the segment store on top of it, and the controller, each a JVM of its own.
 */
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Child, runToEnd } from './child.ts'
import { CACHE, makeDirectory, removeDirectory } from './directories.ts'
import type { Target } from './millrace.ts'
import { freePorts } from './ports.ts'
import { usageOf } from './process-usage.ts'

const HERE = join(import.meta.dirname, 'pravega')
const POM = join(HERE, 'pom.xml')
const JARS = join(CACHE, 'pravega-jars')
const FETCH_MS_MAX = 900_000
const START_MS_MAX = 240_000
const POLL_MS = 100

const CONTAINERS = 4
const CLUSTER = '/pravega/pravega-cluster'
const LEDGERS = `${CLUSTER}/bookkeeper/ledgers`
const LOCAL = '127.0.0.1'
/** Less than the direct memory below, and much less than the default of 4 GiB, which the machine would have to have. */
const CACHE_BYTES = 1024 ** 3

interface Ports {
  readonly zooKeeper: number
  readonly bookie: number
  readonly store: number
  readonly storeRest: number
  readonly controller: number
  readonly controllerRest: number
}

/** Gets the jars, some 210 MB, unless they are there. */
export async function fetchPravega(): Promise<void> {
  if (existsSync(JARS) && statSync(JARS).mtimeMs > statSync(POM).mtimeMs) return
  const arriving = `${JARS}.arriving`
  rmSync(JARS, { recursive: true, force: true })
  rmSync(arriving, { recursive: true, force: true })
  mkdirSync(CACHE, { recursive: true })
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies'
  const args = ['-q', '-B', '-f', POM, goal, '-DincludeScope=runtime', `-DoutputDirectory=${arriving}`]
  await runToEnd({ name: 'mvn', command: 'mvn', args }, FETCH_MS_MAX)
  renameSync(arriving, JARS)
}

/** Resolves when a scope could be made. On a new directory that takes half a minute. */
export async function startPravega(): Promise<Target> {
  const directory = makeDirectory('pravega')
  const children: Child[] = []
  const stop = async (): Promise<void> => {
    // Those that use others go first.
    for (const child of children.toReversed()) await child.stop()
    removeDirectory(directory)
  }
  try {
    const ports = await choosePorts()
    await startAll(directory, ports, children)
    await untilWorking(ports, children)
    return {
      uri: `tcp://${LOCAL}:${ports.controller}`,
      usage: () => usageOf(children.map(({ pid }) => pid)),
      counts: async () => undefined,
      profile: async () => undefined,
      stop,
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startAll(directory: string, ports: Ports, children: Child[]): Promise<void> {
  const launch = (name: string, parts: { options: string[]; main: string; args: string[] }): Child => {
    const child = new Child({ name, command: 'java', args: jvm(directory, parts), cwd: directory })
    children.push(child)
    return child
  }
  const zooKeeper = launch('zookeeper', {
    options: ['-Xmx256m', '-Dzookeeper.forceSync=yes'],
    main: 'org.apache.zookeeper.server.ZooKeeperServerMain',
    args: [writeZooKeeperConfig(directory, ports)],
  })
  await untilOpen(ports.zooKeeper, zooKeeper)
  const bookieConfig = writeBookieConfig(directory, ports)
  await format(directory, ports, bookieConfig)
  const bookie = launch('bookie', {
    options: ['-Xmx1g', '-XX:MaxDirectMemorySize=1g'],
    main: 'org.apache.bookkeeper.server.Main',
    args: ['--conf', bookieConfig],
  })
  await untilOpen(ports.bookie, bookie)
  const store = launch('segment store', {
    options: ['-Xms512m', '-Xmx1g', '-XX:MaxDirectMemorySize=2g', ...storeSettings(directory, ports)],
    main: 'io.pravega.segmentstore.server.host.ServiceStarter',
    args: [],
  })
  const controller = launch('controller', {
    options: ['-Xms128m', '-Xmx512m', ...controllerSettings(ports)],
    main: 'io.pravega.controller.server.Main',
    args: [],
  })
  await untilOpen(ports.store, store)
  await untilOpen(ports.controller, controller)
  await untilOpen(ports.controllerRest, controller)
}

function jvm(directory: string, parts: { options: string[]; main: string; args: string[] }): string[] {
  const temporary = join(directory, 'tmp')
  mkdirSync(temporary, { recursive: true })
  return [
    '-server',
    '-XX:+ExitOnOutOfMemoryError',
    `-Djava.io.tmpdir=${temporary}`,
    `-Dlogback.configurationFile=${join(HERE, 'logback.xml')}`,
    ...parts.options,
    '-cp',
    `${JARS}/*`,
    parts.main,
    ...parts.args,
  ]
}

function writeZooKeeperConfig(directory: string, ports: Ports): string {
  return writeLines(join(directory, 'zoo.cfg'), [
    'tickTime=2000',
    `dataDir=${join(directory, 'zookeeper')}`,
    `clientPortAddress=${LOCAL}`,
    `clientPort=${ports.zooKeeper}`,
    'admin.enableServer=false',
  ])
}

function writeBookieConfig(directory: string, ports: Ports): string {
  return writeLines(join(directory, 'bookie.conf'), [
    `bookiePort=${ports.bookie}`,
    `advertisedAddress=${LOCAL}`,
    'allowLoopback=true',
    `metadataServiceUri=zk://${LOCAL}:${ports.zooKeeper}${LEDGERS}`,
    `journalDirectories=${join(directory, 'journal')}`,
    `ledgerDirectories=${join(directory, 'ledgers')}`,
    // The defaults, said aloud: every acknowledgement waits for a sync of the journal.
    'journalSyncData=true',
    'journalWriteData=true',
    'journalAdaptiveGroupWrites=true',
    'journalMaxGroupWaitMSec=1',
    // As Pravega's own image sets it.
    'ledgerStorageClass=org.apache.bookkeeper.bookie.SortedLedgerStorage',
    // There is no second bookie to repair from.
    'autoRecoveryDaemonEnabled=false',
    'httpServerEnabled=false',
  ])
}

function storeSettings(directory: string, ports: Ports): string[] {
  const tier2 = join(directory, 'tier2')
  mkdirSync(tier2, { recursive: true })
  return settings({
    // It does not start without a file, be it an empty one.
    'pravega.configurationFile': writeLines(join(directory, 'store.properties'), []),
    'pravegaservice.container.count': CONTAINERS,
    'pravegaservice.cache.size.max': CACHE_BYTES,
    'pravegaservice.service.listener.port': ports.store,
    'pravegaservice.service.listener.host.nameOrIp': LOCAL,
    'pravegaservice.service.published.host.nameOrIp': LOCAL,
    'pravegaservice.service.published.port': ports.store,
    'pravegaservice.rest.listener.port': ports.storeRest,
    'pravegaservice.zk.connect.uri': `${LOCAL}:${ports.zooKeeper}`,
    'pravegaservice.dataLog.impl.name': 'BOOKKEEPER',
    'pravegaservice.storage.impl.name': 'FILESYSTEM',
    'pravegaservice.storage.layout': 'CHUNKED_STORAGE',
    'filesystem.root': tier2,
    'bookkeeper.zk.connect.uri': `${LOCAL}:${ports.zooKeeper}`,
    'bookkeeper.ensemble.size': 1,
    'bookkeeper.write.quorum.size': 1,
    'bookkeeper.ack.quorum.size': 1,
    'autoScale.controller.connect.uri': `tcp://${LOCAL}:${ports.controller}`,
  })
}

function controllerSettings(ports: Ports): string[] {
  return settings({
    'controller.zk.connect.uri': `${LOCAL}:${ports.zooKeeper}`,
    'controller.container.count': CONTAINERS,
    'controller.service.rpc.listener.port': ports.controller,
    'controller.service.rpc.published.host.nameOrIp': LOCAL,
    'controller.service.rpc.published.port': ports.controller,
    'controller.service.rest.listener.port': ports.controllerRest,
    // Containers are given to a store that has come; by default a new cluster waits ten seconds for that.
    'controller.rebalance.interval.seconds.min': 1,
  })
}

function settings(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).map(([name, value]) => `-D${name}=${value}`)
}

/** BookKeeper's records in ZooKeeper. Their parents must be there before. */
async function format(directory: string, ports: Ports, bookieConfig: string): Promise<void> {
  const quick = ['-Xmx128m', '-XX:TieredStopAtLevel=1']
  const shell = new Child({
    name: 'zookeeper shell',
    command: 'java',
    args: jvm(directory, {
      options: quick,
      main: 'org.apache.zookeeper.ZooKeeperMain',
      args: ['-server', `${LOCAL}:${ports.zooKeeper}`],
    }),
  })
  for (const node of ['/pravega', CLUSTER, `${CLUSTER}/bookkeeper`]) shell.tell(`create ${node}`)
  shell.tell('quit')
  await shell.finish(START_MS_MAX)
  const args = jvm(directory, {
    options: quick,
    main: 'org.apache.bookkeeper.bookie.BookieShell',
    args: ['-conf', bookieConfig, 'initnewcluster'],
  })
  await runToEnd({ name: 'bookie shell', command: 'java', args, cwd: directory }, START_MS_MAX)
}

async function choosePorts(): Promise<Ports> {
  const [zooKeeper = 0, bookie = 0, store = 0, storeRest = 0, controller = 0, controllerRest = 0] =
    await freePorts(6)
  return { zooKeeper, bookie, store, storeRest, controller, controllerRest }
}

/** An open port is not a cluster that works: at first no scope can be made. */
async function untilWorking(ports: Ports, children: readonly Child[]): Promise<void> {
  const scopes = `http://${LOCAL}:${ports.controllerRest}/v1/scopes`
  const scopeName = 'probe'
  const deadline = performance.now() + START_MS_MAX
  while (performance.now() < deadline) {
    const dead = children.find(({ alive }) => !alive)
    if (dead !== undefined) throw new Error(`${dead.name} has ended:\n${dead.said.slice(-2000)}`)
    const answer = await fetch(scopes, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ scopeName }),
    }).catch(() => undefined)
    if (answer?.status === 201 || answer?.status === 409) {
      await fetch(`${scopes}/${scopeName}`, { method: 'DELETE' })
      return
    }
    await setTimeout(POLL_MS)
  }
  throw new Error(`No scope could be made within ${START_MS_MAX} ms`)
}

async function untilOpen(port: number, child: Child): Promise<void> {
  const deadline = performance.now() + START_MS_MAX
  while (!(await isOpen(port))) {
    if (!child.alive) throw new Error(`${child.name} has ended:\n${child.said.slice(-2000)}`)
    if (performance.now() > deadline) throw new Error(`${child.name} has not opened port ${port}`)
    await setTimeout(POLL_MS)
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: LOCAL, port })
    const answer = (open: boolean): void => {
      socket.destroy()
      resolve(open)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}

function writeLines(path: string, lines: readonly string[]): string {
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
  return path
}
