import { deepStrictEqual, doesNotMatch, match, strictEqual } from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { millrace, withServer } from '../testing/command-line.ts'

const NOWHERE = ['--server', 'tcp://127.0.0.1:1']

test(
  'what is written is read, byte for byte, with the last line that has no newline',
  withServer(async (run) => {
    const input = Buffer.from('plain\nwith\r\n\n\0\xff\xfe\nschön\nlast', 'latin1')
    const written = await run(['write', 'demo/bytes'], { input })
    strictEqual(written.status, 0)
    match(written.stderr, /^6 events written to demo\/bytes, all durable, \d\.\d s\n$/)
    strictEqual(written.stdout, '')
    const read = await run(['read', 'demo/bytes'])
    deepStrictEqual(read.bytes, Buffer.concat([input, Buffer.from('\n')]))
    strictEqual(read.stderr, '')
  }),
)

test(
  'events of a key keep their order through all segments, and --json gives key, pointer and value',
  withServer(async (run) => {
    await run(['stream', 'create', 'demo/orders', '--segments', '3'])
    const lines = Array.from({ length: 300 }, (_, index) => `customer-${index % 7} ${index}`)
    await run(['write', 'demo/orders', '--key-field', '1'], { input: lines.join('\n') })
    const { stdout } = await run(['read', 'demo/orders', '--json', '--key-field', '1'])
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { key: string; pointer: string; value: string })
    strictEqual(events.length, 300)
    for (const customer of new Set(events.map(({ key }) => key)))
      deepStrictEqual(
        events.filter(({ key }) => key === customer).map(({ value }) => value),
        lines.filter((line) => line.startsWith(`${customer} `)),
      )
    match(events[0]?.pointer ?? '', /^demo\/orders\/\d\.#epoch\.0:0-\d+$/)
  }),
)

test(
  'what is no text is base64 in JSON, and the summary can be JSON, too',
  withServer(async (run) => {
    const written = await run(['write', 'bytes', '--json'], { input: Buffer.from([0xff, 10]) })
    const { ms, ...summary } = JSON.parse(written.stdout) as Record<string, unknown>
    deepStrictEqual(summary, { stream: 'default/bytes', events: 1, bytes: 1, durable: true })
    strictEqual(typeof ms, 'number')
    const read = await run(['read', 'bytes', '--json'])
    deepStrictEqual(JSON.parse(read.stdout), { pointer: 'default/bytes/0.#epoch.0:0-9', base64: '/w==' })
  }),
)

test(
  'a line without its key is named, and those before it are written',
  withServer(async (run) => {
    const failed = await run(['write', 'demo/keys', '--key-field', '2'], { input: 'a 1\nb 2\nc\nd 4\n' })
    strictEqual(failed.status, 1)
    strictEqual(failed.stderr, 'Line 3 has no field 2: 1 in all\n2 events from before that are durable\n')
    strictEqual((await run(['read', 'demo/keys'])).stdout, 'a 1\nb 2\n')
  }),
)

test(
  'read --max ends after so many, --from tail leaves out what is there',
  withServer(async (run) => {
    await run(['write', 'demo/some'], { input: '1\n2\n3\n' })
    strictEqual((await run(['read', 'demo/some', '--max', '2'])).stdout, '1\n2\n')
    strictEqual((await run(['read', 'demo/some', '--from', 'tail'])).stdout, '')
    const wrong = await run(['read', 'demo/some', '--from', 'yesterday'])
    strictEqual(wrong.status, 2)
  }),
)

test(
  'read --follow waits for more, and ends well when it is told to stop',
  withServer(async (run) => {
    await run(['write', 'demo/follow'], { input: 'before\n' })
    const stop = new AbortController()
    let seen = ''
    const following = run(['read', 'demo/follow', '--follow'], {
      stop: stop.signal,
      onOutput: (text) => {
        seen += text
        if (seen === 'before\n') void run(['write', 'demo/follow'], { input: 'after\n' })
        if (seen.endsWith('after\n')) stop.abort('SIGINT')
      },
    })
    const { status, stdout, stderr } = await following
    deepStrictEqual({ status, stdout, stderr }, { status: 0, stdout: 'before\nafter\n', stderr: '' })
  }),
)

test(
  'a reader whose output nobody takes ends quietly',
  withServer(async (run) => {
    await run(['write', 'demo/pipe'], { input: '1\n2\n' })
    const { status, stderr } = await run(['read', 'demo/pipe', '--follow'], {
      onOutput: () => Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }),
    })
    deepStrictEqual({ status, stderr }, { status: 0, stderr: '' })
  }),
)

test(
  'an output that is full is an error',
  withServer(async (run) => {
    await run(['write', 'demo/full'], { input: '1\n' })
    const { status, stderr } = await run(['read', 'demo/full'], {
      onOutput: () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }),
    })
    strictEqual(status, 1)
    strictEqual(stderr, 'Cannot write the output: no space left on device\n')
  }),
)

test(
  'a writer that is told to stop makes durable what it has read, and says that it is not all',
  withServer(async (run) => {
    const stop = new AbortController()
    let asked = 0
    const input = new Readable({
      highWaterMark: 1,
      read() {
        if (asked++ === 0) this.push('1\n2\nbegun')
        // Whoever asks for more has taken the first piece.
        else setImmediate(() => stop.abort('SIGINT'))
      },
    })
    const { status, stderr } = await run(['write', 'demo/stop'], { input, stop: stop.signal })
    strictEqual(status, 1)
    match(
      stderr,
      /Interrupted: the rest of the input was not read\. 2 events from before that are durable\n$/,
    )
    strictEqual((await run(['read', 'demo/stop'])).stdout, '1\n2\n')
  }),
)

test(
  'a sealed stream takes no more lines',
  withServer(async (run) => {
    await run(['stream', 'create', 'demo/sealed'])
    strictEqual((await run(['stream', 'seal', 'demo/sealed'])).stdout, 'Sealed the stream demo/sealed\n')
    const { status, stderr } = await run(['write', 'demo/sealed'], { input: 'x\n' })
    strictEqual(status, 1)
    match(
      stderr,
      /^demo\/sealed is sealed and takes no more events\nAt least 0 events from before that are durable\n$/,
    )
    match((await run(['stream', 'describe', 'demo/sealed'])).stdout, /state +sealed, takes no more events/)
  }),
)

test(
  'streams: scaled and updated, and it is told when and why',
  withServer(async (run) => {
    await run(['stream', 'create', 'shop/orders', '--segments', '1'])
    const scaled = await run(['stream', 'scale', 'shop/orders', '4'])
    strictEqual(scaled.stdout, 'The stream shop/orders has 4 segments now, in epoch 1\n')
    const updated = await run(['stream', 'update', 'shop/orders', '--segments', '2'])
    strictEqual(updated.stdout, 'Updated the stream shop/orders\n')
    const { stdout } = await run(['stream', 'describe', 'shop/orders', '--epochs'])
    match(stdout, /2 +20\S+Z +2 +for a new policy: 2 segments instead of 4\n/)
    match(stdout, /1 +20\S+Z +4 +asked for\n/)
    match(stdout, /0 +20\S+Z +1 +the stream was made\n/)
    const info = JSON.parse(
      (await run(['stream', 'describe', 'shop/orders', '--epochs', '1', '--json'])).stdout,
    ) as { epochs: { epoch: number; cause: string; segments: number }[] }
    deepStrictEqual(
      info.epochs.map(({ epoch, cause, segments }) => [epoch, cause, segments]),
      [[2, 'policy', 2]],
    )
    strictEqual((await run(['stream', 'scale', 'shop/orders', '0'])).status, 2)
    strictEqual((await run(['stream', 'update', 'shop/orders'])).status, 2)
    const below = await run(['stream', 'scale', 'shop/orders', '1'])
    strictEqual(below.status, 2)
    match(below.stderr, /asks for 2 segments at least/)
  }),
)

test(
  'streams: made with a policy, listed, described and deleted',
  withServer(async (run) => {
    const policy = ['--events-per-second', '100', '--segments-min', '2', '--retain-for', '7d', '--tag', 'red']
    strictEqual(
      (await run(['stream', 'create', 'shop/clicks', ...policy])).stdout,
      'Made the stream shop/clicks\n',
    )
    await run(['stream', 'create', 'shop/orders'])
    const again = await run(['stream', 'create', 'shop/orders'])
    deepStrictEqual([again.status, again.stderr], [1, 'There is a stream shop/orders already\n'])
    const tolerant = await run(['stream', 'create', 'shop/orders', '--if-not-exists', '--json'])
    deepStrictEqual([tolerant.status, tolerant.stdout], [0, '{"stream":"shop/orders","created":false}\n'])

    strictEqual((await run(['stream', 'list'])).stdout, 'shop/clicks\nshop/orders\n')
    strictEqual(
      (await run(['stream', 'list', 'shop', '--tag', 'red', '--json'])).stdout,
      '{"stream":"shop/clicks"}\n',
    )
    match((await run(['stream', 'list', '--all'])).stdout, /^shop\/_MARKclicks$/m)
    match((await run(['stream', 'list', '-l'])).stdout, /^shop\/clicks +2 +0 bytes +by events: /m)

    const { stdout } = await run(['stream', 'describe', 'shop/clicks'])
    match(stdout, /keeps +events of the last 7 days\n +tags +red\n/)
    match(stdout, /0\.#epoch\.0 +0 +0\.5 +0\n +1\.#epoch\.0 +0\.5 +1 +0\n$/)
    const info = JSON.parse((await run(['stream', 'describe', 'shop/clicks', '--json'])).stdout) as {
      policy: object
    }
    deepStrictEqual(info.policy, {
      scaling: { eventsPerSecond: 100, segmentsMin: 2 },
      retention: { ageMs: 604_800_000 },
      tags: ['red'],
    })

    strictEqual(
      (await run(['stream', 'delete', 'shop/clicks', '--yes'])).stdout,
      'Deleted the stream shop/clicks\n',
    )
    strictEqual((await run(['stream', 'list', 'shop'])).stdout, 'shop/orders\n')
  }),
)

test(
  'scopes: made, listed, described, and deleted when they are empty or with everything',
  withServer(async (run) => {
    strictEqual((await run(['scope', 'create', 'shop'])).stdout, 'Made the scope shop\n')
    strictEqual((await run(['scope', 'create', 'shop'])).status, 1)
    strictEqual((await run(['scope', 'create', 'shop', '--if-not-exists'])).status, 0)
    strictEqual((await run(['scope', 'create', 'no_underscore'])).status, 2)
    await run(['stream', 'create', 'shop/orders'])
    strictEqual((await run(['scope', 'list'])).stdout, 'shop\n')
    strictEqual((await run(['scope', 'describe', 'shop'])).stdout, 'shop: 1 stream, 0 groups\n')
    const full = await run(['scope', 'delete', 'shop', '--yes'])
    deepStrictEqual([full.status, /--recursive/.test(full.stderr)], [1, true])
    strictEqual(
      (await run(['scope', 'delete', 'shop', '--yes', '--recursive'])).stdout,
      'Deleted the scope shop\n',
    )
    strictEqual((await run(['scope', 'list', '--json'])).stdout, '')
  }),
)

test(
  'a group remembers where it stopped: at what was printed, no matter why it stopped',
  withServer(async (run) => {
    const group = ['read', 'demo/shared', '--group', 'billing']
    await run(['write', 'demo/shared'], { input: '1\n2\n3\n4\n5\n' })
    strictEqual((await run([...group, '--max', '2'])).stdout, '1\n2\n')
    strictEqual((await run([...group, '--max', '1'])).stdout, '3\n')
    strictEqual((await run(group)).stdout, '4\n5\n')
    strictEqual((await run(group)).stdout, '')
    await run(['write', 'demo/shared'], { input: '6\n' })
    const broken = await run([...group, '--follow'], {
      onOutput: () => Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }),
    })
    deepStrictEqual([broken.status, broken.stderr], [0, ''])
    strictEqual((await run(group)).stdout, '6\n')
  }),
)

test(
  'groups: made at a place of their own, listed, described and deleted',
  withServer(async (run) => {
    await run(['write', 'demo/orders'], { input: 'before\n' })
    const made = await run(['group', 'create', 'demo/late', 'demo/orders', '--from', 'tail'])
    deepStrictEqual([made.stdout, made.stderr], ['Made the group demo/late\n', ''])
    const again = await run(['group', 'create', 'demo/late', 'demo/orders'])
    deepStrictEqual([again.status, again.stderr], [1, 'There is a group demo/late already\n'])
    strictEqual((await run(['group', 'create', 'demo/late', 'demo/orders', '--if-not-exists'])).status, 0)
    strictEqual((await run(['group', 'create', 'other/late', 'demo/orders'])).status, 2)
    strictEqual((await run(['group', 'create', 'demo/late2', 'demo/none'])).status, 4)

    await run(['write', 'demo/orders'], { input: 'after\n' })
    strictEqual((await run(['group', 'list'])).stdout, 'demo/late\n')
    match(
      (await run(['group', 'describe', 'demo/late'])).stdout,
      /^demo\/late\n +reads +demo\/orders\n +lag +13 bytes\n +readers +none\n$/,
    )
    strictEqual((await run(['read', 'demo/orders', '--group', 'late'])).stdout, 'after\n')
    deepStrictEqual(JSON.parse((await run(['group', 'describe', 'demo/late', '--json'])).stdout), {
      group: 'demo/late',
      streams: ['demo/orders'],
      lag: { bytes: 0, readers: [] },
    })
    strictEqual(
      (await run(['group', 'delete', 'demo/late', '--yes'])).stdout,
      'Deleted the group demo/late\n',
    )
    strictEqual((await run(['group', 'list', 'demo'])).stdout, '')
  }),
)

test(
  'deleting asks: no is no, and where nobody can answer it takes --yes',
  withServer(async (run) => {
    await run(['write', 'demo/asked'], { input: 'x\n' })
    const alone = await run(['stream', 'delete', 'demo/asked'])
    strictEqual(alone.status, 2)
    match(alone.stderr, /add --yes/)
    const no = await run(['stream', 'delete', 'demo/asked'], { watched: true, input: 'n\n' })
    strictEqual(no.status, 1)
    match(no.stderr, /Delete the stream demo\/asked with 9 bytes of events\? \[y\/N\] /)
    const nothing = await run(['stream', 'delete', 'demo/asked'], { watched: true, input: '' })
    strictEqual(nothing.status, 1)
    const yes = await run(['stream', 'delete', 'demo/asked'], { watched: true, input: 'y\n' })
    deepStrictEqual([yes.status, yes.stdout], [0, 'Deleted the stream demo/asked\n'])
  }),
)

test(
  'what does not exist is status 4',
  withServer(async (run) => {
    const missing: readonly (readonly [args: string[], message: RegExp])[] = [
      [['read', 'demo/none'], /There is no stream demo\/none/],
      [['stream', 'describe', 'demo/none'], /There is no stream demo\/none/],
      [['stream', 'seal', 'demo/none'], /There is no stream demo\/none/],
      [['stream', 'delete', 'demo/none', '--yes'], /There is no stream demo\/none/],
      [['stream', 'list', 'none'], /There is no scope none/],
      [['stream', 'list', 'none', '--long'], /There is no scope none/],
      [['scope', 'describe', 'none'], /There is no scope none/],
      [['scope', 'delete', 'none', '--yes'], /There is no scope none/],
      [['group', 'describe', 'demo/none'], /There is no group demo\/none/],
      [['group', 'delete', 'demo/none', '--yes'], /There is no group demo\/none/],
      [['group', 'list', 'none'], /There is no scope none/],
    ]
    for (const [args, message] of missing) {
      const { status, stdout, stderr } = await run(args)
      deepStrictEqual([args, status, stdout], [args, 4, ''])
      match(stderr, message)
    }
  }),
)

test('wrong usage is status 2, and says how it is right', async () => {
  const wrong: readonly (readonly [args: string[], message: RegExp])[] = [
    [[], /Usage: millrace/],
    [['reed'], /Did you mean read/],
    [['read'], /missing required argument 'stream'/],
    [['read', 'x', '--nix'], /unknown option '--nix'/],
    [['read', 'a/b/c', ...NOWHERE], /write scope\/name/],
    [['read', 'x', '--max', '0'], /whole number from 1/],
    [['write', 'x', '--key-field', '1', '--key', '/a', ...NOWHERE], /not from both/],
    [['stream'], /Usage: millrace stream/],
    [['stream', 'create', 'a/_b', ...NOWHERE], /made of letters/],
    [['stream', 'list', '--server', 'http://x'], /write tcp:\/\/host:port/],
    [['serve', '--controller-port', '70000'], /--controller-port is '70000', but must be/],
  ]
  for (const [args, message] of wrong) {
    const { status, stdout, stderr } = await millrace(args)
    deepStrictEqual([args, status, stdout], [args, 2, ''])
    match(stderr, message)
    doesNotMatch(stderr, /This is a bug/)
  }
})

test('a server that does not answer is status 3, with its address and a guess', async () => {
  for (const args of [
    ['read', 'x'],
    ['write', 'x'],
    ['stream', 'list'],
    ['scope', 'create', 'x'],
    ['group', 'list'],
  ]) {
    const { status, stderr } = await millrace([...args, ...NOWHERE])
    deepStrictEqual([args, status], [args, 3])
    match(stderr, /^Cannot reach tcp:\/\/127\.0\.0\.1:1: is millrace serve running\?/)
  }
})

test('every command explains itself, and the version is the one of the package', async () => {
  match((await millrace(['--help'])).stdout, /serve .*\n *write .*\n *read /)
  match((await millrace(['help', 'write'])).stdout, /Examples:\n {2}seq 1 1000/)
  match((await millrace(['stream', 'create', '--help'])).stdout, /--retain-for <span>/)
  match((await millrace(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/)
})
