/** What the acts of rules come to, for those who do it. */
import { errorText, isMitmError, MitmError } from '../errors.ts'
import { noteFault } from '../fault-record.ts'
import type { AnswerPart, Fault, FaultFeed, HeadPart, RewritePart } from '../fault.ts'
import type { Intervention, StreamRewrite } from '../middleware.ts'
import type { Act } from './act.ts'

type ActOf<Kind extends Act['kind']> = Extract<Act, { kind: Kind }>

/**
 * What is done to an exchange.
 *
 * @param acts - Of all rules that are applied, those of the oldest first.
 * @param faults - The faults among them, which come and go with their rules.
 */
export function interventionOf(acts: readonly Act[], faults: FaultFeed | undefined): Intervention {
  const of = <Kind extends Act['kind']>(kind: Kind): readonly ActOf<Kind>[] =>
    acts.filter((act): act is ActOf<Kind> => act.kind === kind)
  const parts = of('fault').flatMap(({ fault }) => fault.parts)
  const answer = of('answer')[0]?.answer ?? parts.find((part): part is AnswerPart => part.stage === 'answer')?.answer
  const rewriteRequest = of('rewriteRequest').map(({ rewrite }) => rewrite)
  const rewriteResponse = [
    ...of('rewriteResponse').map(({ rewrite }) => rewrite),
    ...parts.filter((part): part is RewritePart => part.stage === 'rewriteResponse').map(({ rewrite }) => rewrite),
  ]
  const requestStreams = of('requestStream').map(({ rewrite }) => rewrite)
  const responseStreams = [
    ...of('responseStream').map(({ rewrite }) => rewrite),
    ...of('fault').flatMap(({ fault }) => streamsOf(fault)),
  ]
  const responseHead = parts.filter((part): part is HeadPart => part.stage === 'head')
  const clientData = of('clientData').map(({ transform }) => transform)
  const serverData = of('serverData').map(({ transform }) => transform)
  const webSocket = of('webSocket').map(({ handler }) => handler)
  const interim = of('interim').map(({ response }) => response)
  const delayMs = of('delay').reduce((sum, { ms }) => sum + ms, 0)
  return {
    ...(delayMs > 0 && { delayMs }),
    ...(interim.length > 0 && { interim }),
    ...(rewriteRequest.length > 0 && { rewriteRequest }),
    ...(requestStreams.length > 0 && { requestStreams }),
    ...(rewriteResponse.length > 0 && { rewriteResponse }),
    ...(responseStreams.length > 0 && { responseStreams }),
    ...(responseHead.length > 0 && { responseHead }),
    ...(clientData.length > 0 && { clientData }),
    ...(serverData.length > 0 && { serverData }),
    ...(webSocket.length > 0 && { webSocket }),
    ...(answer && { answer }),
    ...(faults && { faults }),
  }
}

/** Its stream parts, which note the fault when it acts. */
function streamsOf(fault: Fault): readonly StreamRewrite[] {
  return fault.parts.flatMap((part): readonly StreamRewrite[] => {
    if (part.stage !== 'stream') return []
    return [
      {
        open: (exchange) => part.open(() => noteFault(exchange.connection, fault, exchange)),
        blame: (cause) =>
          isMitmError(cause)
            ? cause
            : new MitmError('MITM_RULE_FAILED', `Cannot inject the fault ${fault.text}: ${errorText(cause)}`, {
                cause,
              }),
      },
    ]
  })
}
