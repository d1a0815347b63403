/** The fault matrix: HTTP/1 responses. */
import type { FaultCase } from './fault-case.ts'

export const HTTP_CASES: readonly FaultCase[] = []
