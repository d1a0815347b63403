/** Acts that send something before the response, or let it wait. */
import { STATUS_CODES } from 'node:http'

import type { Field } from '../exchange.ts'
import { invalidRule } from './act.ts'
import type { Act } from './act.ts'
import { show } from './filter-text.ts'
import { applyHeaders, problemWithHeaders } from './headers-input.ts'
import type { HeadersInput } from './headers-input.ts'

/** What Node's timers can hold. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Sends a `1xx` response. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function interimAct(status: number, headers: HeadersInput | undefined): Act {
  if (!Number.isInteger(status) || status < 100 || status > 199 || status === 101) {
    throw invalidRule('interim', `status is ${show(status)}, expected a whole number from 100 to 199, and not 101`)
  }
  return makeInterim('interim', status, headers)
}

/** Sends `103 Early Hints`. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function earlyHintsAct(hints: string | readonly string[] | HeadersInput): Act {
  const links = typeof hints === 'string' ? [hints] : hints
  const areLinks = Array.isArray(links) && links.every((link) => typeof link === 'string')
  if (areLinks && links.length === 0) throw invalidRule('earlyHints', 'there are no links, expected at least one')
  // Boundary: what is no list of texts is either fields, or refused by the check of them.
  return makeInterim('earlyHints', 103, areLinks ? { link: links } : (links as HeadersInput))
}

/** Waits. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function delayAct(ms: number): Act {
  if (typeof ms !== 'number' || !(ms >= 0 && ms <= MAX_TIMER_MS)) {
    throw invalidRule('delay', `ms is ${show(ms)}, expected milliseconds from 0 to ${MAX_TIMER_MS}`)
  }
  return { kind: 'delay', text: `wait ${ms} ms`, ms }
}

function makeInterim(method: string, status: number, headers: HeadersInput | undefined): Act {
  const problem = problemWithHeaders(headers)
  if (problem) throw invalidRule(method, problem)
  const fields: readonly Field[] = applyHeaders([], headers)
  const name = STATUS_CODES[status]
  return { kind: 'interim', text: `send ${status}${name ? ` ${name}` : ''} before`, response: { status, fields } }
}
