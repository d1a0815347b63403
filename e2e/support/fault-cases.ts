/** The fault matrix: all cases, in the order in which the docs show them. */
import type { FaultCase } from './fault-case.ts'
import { HTTP_CASES } from './fault-cases-http.ts'
import { HTTP2_OTHER_CASES } from './fault-cases-http2-others.ts'
import { HTTP2_FRAME_CASES } from './fault-cases-http2.ts'
import { REACH_CASES } from './fault-cases-reach.ts'
import { TCP_CASES } from './fault-cases-tcp.ts'
import { TLS_CASES } from './fault-cases-tls.ts'

export const CASES: readonly FaultCase[] = [
  ...REACH_CASES,
  ...TLS_CASES,
  ...TCP_CASES,
  ...HTTP_CASES,
  ...HTTP2_FRAME_CASES,
  ...HTTP2_OTHER_CASES,
]
