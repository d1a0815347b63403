/** What goes wrong on purpose: the words for faults. What makes them is in `faults/`; what does them, flow and protocols. */
import type { ErrorCode, Side } from './errors.ts'
import type { Http2Cut, Http2Part } from './http2-fault.ts'
import type { Answer, Rewrite, RewrittenResponse } from './middleware.ts'
import type { WebSocketPart } from './web-socket-fault.ts'

export type { FaultyHttp2Frame, Http2Cut, Http2Part, Http2SettingValues } from './http2-fault.ts'
export type { FaultyFrame, MessageChange, MessageOnItsWay, WebSocketAction, WebSocketPart } from './web-socket-fault.ts'

/**
 * A failure that can be injected. Made by a function of `faults`, and handed to `rule.fault()`. It is a plain value: it
 * keeps no state, so one fault may be used by several rules.
 */
export interface Fault {
  /** The name of the function that makes it: `resetPeer`. */
  readonly name: string
  /** In words, with its options: `resetPeer after 10 octets`. */
  readonly text: string
  /** What goes wrong, at one layer or at several. */
  readonly parts: readonly FaultPart[]
  /** Whether it is for WebSockets alone: their handshakes, and what follows. @defaultValue `false` */
  readonly isForWebSockets?: boolean
  /**
   * Whether it is for HTTP/2, so that clients are offered that: `wanted`, if exchanges by HTTP/1 go wrong in a way of their
   * own; `needed`, if nothing goes wrong with them. @defaultValue neither
   */
  readonly http2?: 'wanted' | 'needed'
}

/**
 * What goes wrong at one layer, each with a `stage` of its own; whoever does faults takes the stages that it knows and
 * leaves the others alone.
 */
export type FaultPart =
  | DialPart
  | TunnelPart
  | TlsPart
  | CutPart
  | PacePart
  | AnswerPart
  | RewritePart
  | StreamPart
  | HeadPart
  | Http2Part
  | WebSocketPart

/** The server cannot be reached. It is not contacted; the client is told in the words of its protocol, as ever. */
export interface DialPart {
  readonly stage: 'dial'
  readonly code: Extract<ErrorCode, 'MITM_DIAL_FAILED' | 'MITM_DIAL_TIMEOUT' | 'MITM_DNS_FAILED'>
  /** The system's word for it, such as `ECONNREFUSED`. */
  readonly reason: string
  /** Milliseconds until it is known. */
  readonly afterMs: number
}

/** The reply to CONNECT or SOCKS goes wrong. */
export interface TunnelPart {
  readonly stage: 'tunnel'
  readonly reply:
    | { readonly kind: 'close' | 'reset' | 'stall' }
    /** Of HTTP; a SOCKS client gets a general failure. */
    | { readonly kind: 'status'; readonly status: number; readonly statusText: string }
    /** Of SOCKS5 (RFC 1928 section 6); an HTTP client gets 502. */
    | { readonly kind: 'socks'; readonly code: number }
    /** In place of a reply; then the connection is closed. */
    | { readonly kind: 'octets'; readonly octets: Buffer }
    /** The reply is as ever, but late. */
    | { readonly kind: 'delay'; readonly ms: number }
}

/** What is wrong with a certificate. */
export type CertificateFlaw =
  | 'expired'
  | 'notYetValid'
  | 'wrongHost'
  | 'noSan'
  | 'untrusted'
  | 'selfSigned'
  | 'sha1'
  | 'weakKey'

/** The client's TLS handshake goes wrong. */
export interface TlsPart {
  readonly stage: 'tls'
  readonly failure:
    | { readonly kind: 'certificate'; readonly flaw: CertificateFlaw }
    /** Nothing newer is spoken. */
    | { readonly kind: 'version'; readonly max: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' }
    /** A fatal alert (RFC 8446 section 6) in answer to the hello. */
    | { readonly kind: 'alert'; readonly code: number }
    /** In answer to the hello; then the connection is closed. */
    | { readonly kind: 'octets'; readonly octets: Buffer }
    | { readonly kind: 'close' | 'reset' | 'stall' | 'requireClientCertificate' }
    /** The handshake is as ever, but late. */
    | { readonly kind: 'delay'; readonly ms: number }
}

/** A message breaks off. */
export interface CutPart {
  readonly stage: 'cut'
  /** Towards whom: `client` cuts the response, `server` the request. */
  readonly side: Side
  /**
   * How many octets pass before: of the message behind its head, as they are on the wire (with chunk lines). In a
   * connection that is not HTTP, of all that goes to that side. `undefined`: in place of the whole message.
   */
  readonly afterBytes: number | undefined
  /** Whether `afterBytes` counts from the first octet of the head on. */
  readonly countsHead: boolean
  /**
   * How many server-sent events of the body pass before; `afterBytes` then counts from the end of the last of them. They
   * are found in the body with its transfer coding removed (`EventEnds`).
   */
  readonly afterEvents?: number | undefined
  /** For a cut in place of the response: whether the server gets the request all the same. */
  readonly forwards: boolean
  /** `close` sends what is left and a FIN; `halfClose` a FIN, and goes on reading; `stall` holds the connection open. */
  readonly end: 'close' | 'reset' | 'stall' | 'halfClose'
  /** Milliseconds from there to the end, in which nothing passes. */
  readonly afterMs: number
  /** How an exchange by HTTP/2 ends in place of `end`, if not with its connection. */
  readonly http2?: Http2Cut | undefined
}

/** Octets at a moment, on the clock of `performance.now()`. */
export interface TimedOctets {
  readonly octets: Buffer
  readonly atMs: number
}

/** Octets pass later or in other pieces, but all of them, and in order. */
export interface PacePart {
  readonly stage: 'pace'
  /** Towards whom. */
  readonly side: Side
  /** What the pace is of: one message each, or everything that passes by all exchanges of the fault (a link). */
  readonly scope: 'message' | 'link'
  /** Makes what paces; it keeps the state. */
  open(random: () => number): Pace
  /** Milliseconds for which the end of the connection is held back, beside the octets. */
  readonly closeDelayMs?: number | undefined
}

/** What is known of a message whose octets are about to come. */
export interface PacedMessage {
  /** Octets of its head, which come first. */
  readonly headBytes: number
  /** Octets behind its head, as they are on the wire; undefined when its length is not said (chunked, or up to the end). */
  readonly bodyBytes: number | undefined
}

/** Says when octets go on. */
export interface Pace {
  /**
   * A message begins: called before its first octets, with `scope: 'message'`. Not called in a connection that is not
   * HTTP, nor where the fault comes into force when the head has passed.
   */
  begin?(message: PacedMessage): void
  /**
   * What becomes of octets: the same ones in one or more pieces, each at a moment not before `piece.atMs`, and not before
   * those of the piece before it. Called in the order of the octets, and never late: `piece.atMs` is when they came.
   */
  schedule(piece: TimedOctets): readonly TimedOctets[]
}

/** Something else is sent in place of the server's response. */
export interface AnswerPart {
  readonly stage: 'answer'
  readonly answer: Answer
}

/** The response is changed, in a way in which it is still one. */
export interface RewritePart {
  readonly stage: 'rewriteResponse'
  readonly rewrite: Rewrite<RewrittenResponse>
}

/** The body of the response is changed while it streams. */
export interface StreamPart {
  readonly stage: 'stream'
  /**
   * Makes what the body is piped through, its content coding removed and not put on again.
   *
   * @param acted - Called when something goes wrong on purpose, not before.
   */
  open(acted: () => void): TransformStream<Uint8Array, Uint8Array>
}

/** The octets of the response's head are changed last of all; nothing is put right after that. */
export interface HeadPart {
  readonly stage: 'head'
  /** Given status line and fields with the empty line at their end. */
  edit(head: Buffer): Buffer
  /** Whether the connection is closed behind the response. */
  readonly closes: boolean
}

/** A fault that a rule injects. */
export interface InjectedFault {
  readonly fault: Fault
  /** Draws from the seed of the rules: from 0 up to 1. */
  readonly random: () => number
  /** For `scope: 'link'`: what paces everything that passes by this fault. One for each part and rule. */
  paceOf(part: PacePart): Pace
}

/** The faults of a running exchange or connection, which come and go with the rules that inject them. */
export interface FaultFeed {
  /** Those that act now. */
  readonly faults: readonly InjectedFault[]
  /** Calls back whenever these change. @returns What stops that. */
  subscribe(onChange: () => void): () => void
  /** Takes back that the rules were used: a browser sends the exchange again by itself, and nobody hears of this one. */
  notCounted?(): void
}

/** A fault that acted. */
export interface FaultRecord {
  /** The name of the function that made it: `resetPeer`. */
  readonly name: string
  /** In words, with its options. */
  readonly text: string
  /** Milliseconds since 1970 at which it began to act. */
  readonly at: number
}
