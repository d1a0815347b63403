/** Sends bodies that come piece by piece. */
import { setImmediate as nextTurn } from 'node:timers/promises'

import { MitmError } from '../../errors.ts'
import type { Field } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { lastChunk, writeChunk } from '../http1/chunked.ts'

/** How the end of a body is told (RFC 9112 section 6.3); in HTTP/2 it is `close`, as frames tell it. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'close' }

/** How long pieces may follow one another without letting anything else run. */
const MAX_TURN_MS = 10

/** Where a body goes. */
export interface BodyTarget {
  /** Sends octets as they are on the wire; a promise when the sender has to wait. */
  send(octets: Buffer): MaybePromise<void>
  /** Is told of the content of each piece. */
  note(content: Buffer): void
  trailers(): readonly Field[]
  /** The rules that made it, in words, for errors. */
  readonly by: readonly string[]
}

/** Sends a body piece by piece. @throws what the source failed with, or a MitmError when it is not as long as was said */
export async function sendBody(octets: AsyncIterable<Uint8Array>, framing: Framing, target: BodyTarget): Promise<void> {
  let size = 0
  let turnMs = performance.now()
  for await (const piece of octets) {
    // A source that always has its next piece ready would keep everything else from running.
    if (performance.now() - turnMs > MAX_TURN_MS) {
      await nextTurn()
      turnMs = performance.now()
    }
    if (piece.length === 0) continue
    const content = Buffer.from(piece.buffer, piece.byteOffset, piece.length)
    size += content.length
    if (framing.kind === 'length' && size > framing.length)
      throw wrongLength(framing.length, `${size} or more`, target.by)
    target.note(content)
    await target.send(framing.kind === 'chunked' ? writeChunk(content) : content)
  }
  if (framing.kind === 'length' && size < framing.length) throw wrongLength(framing.length, `${size}`, target.by)
  if (framing.kind === 'chunked') await target.send(lastChunk(target.trailers()))
}

function wrongLength(said: number, found: string, by: readonly string[]): MitmError {
  const rules = by.map((rule) => JSON.stringify(rule)).join(', ')
  return new MitmError(
    'MITM_RULE_FAILED',
    `Cannot send the body of an answer${rules && ` by the rule ${rules}`}: content-length is ${said}, but its stream gave ${found} octets`,
  )
}
