/** The fault matrix: TLS with the client. */
import type { FaultCase } from './fault-case.ts'

export const TLS_CASES: readonly FaultCase[] = []
