/**
 * Turns of the event loop that nobody can fake: libraries for tests replace the timers, setImmediate too, in the globals and in the
 * modules they come from, before or after this one loads. A message to oneself is none of them.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'

let ports: { readonly send: MessagePort; readonly receive: MessagePort } | undefined
let callbacks: (() => void)[] = []

/**
 * Calls back in a later turn, when all promises that can settle have settled. Until then the process lives; what the callback
 * throws is nobody's to catch.
 */
export function nextTurn(callback: () => void): void {
  ports ??= open()
  // The first one of a turn sends the message that brings all of them.
  if (callbacks.push(callback) > 1) return
  ports.receive.ref()
  ports.send.postMessage(undefined)
}

function open(): { send: MessagePort; receive: MessagePort } {
  const { port1: send, port2: receive } = new MessageChannel()
  receive.on('message', () => run(receive))
  send.unref()
  return { send, receive }
}

function run(receive: MessagePort): void {
  const batch = callbacks
  callbacks = []
  let done = 0
  try {
    while (done < batch.length) batch[done++]!()
  } finally {
    for (const rest of batch.slice(done)) nextTurn(rest)
    if (callbacks.length === 0) receive.unref()
  }
}
