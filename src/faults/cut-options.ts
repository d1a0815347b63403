/** The options that faults which cut a message have in common. */
import type { Side } from '../errors.ts'
import type { CutPart, Fault } from '../fault.ts'
import { checkOptions, invalidFault, octetCount, oneOf, optional, sideName, yesOrNo } from './check.ts'
import type { OptionCheck } from './check.ts'
import { cutText } from './cut-text.ts'

/** Where a message is cut. */
export interface CutOptions {
  /** Octets that pass before. @defaultValue none: it is in place of the whole message */
  afterBytes?: number | undefined
  /** What `afterBytes` counts: octets behind the head, or from the first of the head on. @defaultValue `'body'` */
  of?: 'body' | 'message' | undefined
  /** For a cut in place of the response: whether the server gets the request first. @defaultValue `false` */
  forward?: boolean | undefined
  /** Towards whom: `'client'` cuts the response, `'server'` the request. @defaultValue `'client'` */
  side?: Side | undefined
}

/** The checks of {@link CutOptions}. */
export const CUT_CHECKS: { readonly [Key in keyof Required<CutOptions>]: OptionCheck } = {
  afterBytes: optional(octetCount),
  of: optional(oneOf('body', 'message')),
  forward: optional(yesOrNo),
  side: optional(sideName),
}

/** How a cut ends, and what is said of it. */
export interface CutEnd extends Pick<CutPart, 'end' | 'afterMs' | 'http2'> {
  /** What is said in front of the place of the cut. @defaultValue the name */
  readonly label?: string
  /** What is said behind the place of the cut. */
  readonly tail?: string
  /** Whether nothing goes wrong with exchanges by HTTP/1, where `http2` is given. */
  readonly demandsHttp2?: boolean
}

/**
 * Makes a fault of one cut.
 *
 * @param name - The function that makes it, whose options were checked.
 * @throws {@link MitmError} `MITM_INVALID_FAULT` when `forward` says nothing, since the server gets the request anyway.
 */
export function cutFault(
  name: string,
  { afterBytes, of = 'body', forward = false, side = 'client' }: CutOptions,
  { end, afterMs, http2, label = name, tail = '', demandsHttp2 = false }: CutEnd,
): Fault {
  if (forward && (side === 'server' || afterBytes !== undefined)) {
    throw invalidFault(name, 'forward is true, expected it only for a fault in place of the response')
  }
  const cut: CutPart = {
    stage: 'cut',
    side,
    afterBytes,
    countsHead: of === 'message',
    forwards: forward,
    end,
    afterMs,
    ...(http2 && { http2 }),
  }
  const text = cutText(label, { afterBytes, of, forward, side }) + tail
  return { name, text, parts: [cut], ...(http2 && { http2: demandsHttp2 ? 'needed' : 'wanted' }) }
}

/** Checks and makes a fault that has the options of a cut and no others. @throws as {@link cutFault} and `checkOptions` */
export function plainCut(name: string, options: CutOptions, end: CutPart['end']): Fault {
  return cutFault(name, checkOptions(name, options, CUT_CHECKS), { end, afterMs: 0 })
}
