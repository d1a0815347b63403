/** Responses that rules have changed. */
import type { Exchange } from '../../exchange.ts'
import { abortable, discard } from '../../internal/abortable.ts'
import type { Rewrite, RewrittenResponse } from '../../middleware.ts'
import { bodyTooLarge } from './messages.ts'

/** What changes a response, and of which exchange. */
export interface ChangeTarget {
  readonly rewrites: readonly Rewrite<RewrittenResponse>[]
  readonly exchange: Exchange
  /** Aborts when nobody wants the response any more. */
  readonly signal: AbortSignal
  readonly maxBodyBytes: number
  /** Is told that the client has to wait, perhaps for ever. */
  waits(): void
}

/** The response that the rewrites of an exchange make of one. @throws what they fail with; a stream is returned from then */
export async function changedResponse(response: RewrittenResponse, target: ChangeTarget): Promise<RewrittenResponse> {
  let message = response
  // What has been read is over by that, and cannot be returned from once more.
  const read = new Set<AsyncIterable<Uint8Array>>()
  const discardUnread = (stream: RewrittenResponse['stream']): void => {
    if (stream && !read.has(stream)) discard(stream)
  }
  try {
    for (const rewrite of target.rewrites) {
      if (rewrite.needsBody && message.stream) {
        read.add(message.stream)
        message = await collected(message, message.stream, target)
      }
      message = await rewrite.apply(message, target.exchange)
    }
    if (message.stream !== response.stream) discardUnread(response.stream)
    return message
  } catch (error) {
    discardUnread(message.stream)
    throw error
  }
}

/** A response whose stream has been read to its end, for a rewrite that wants to see all of it. */
async function collected(
  message: RewrittenResponse,
  stream: AsyncIterable<Uint8Array>,
  target: ChangeTarget,
): Promise<RewrittenResponse> {
  const { exchange, signal, maxBodyBytes } = target
  const pieces: Uint8Array[] = []
  let size = 0
  target.waits()
  for await (const piece of abortable(stream, signal)) {
    size += piece.length
    if (size > maxBodyBytes) throw bodyTooLarge(`the answer to ${exchange.request.url}`, size, maxBodyBytes)
    pieces.push(piece)
  }
  return { ...message, body: Buffer.concat(pieces), stream: undefined }
}
