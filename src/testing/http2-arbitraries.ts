/** Generates conversations in HTTP/2, in order and out of it: who sends which frames, and what comes of that. */
import fc from 'fast-check'

import type { Side } from '../errors.ts'
import type { Field } from '../exchange.ts'
import {
  writeData,
  writeFrame,
  writeGoAway,
  writePing,
  writeReset,
  writeSettings,
} from '../protocols/http2/frame-write.ts'
import { FRAME, PREFACE } from '../protocols/http2/frame.ts'
import type { Line, Script, Turn } from './conversation.ts'
import { headers } from './http2-watch.ts'

/** What one side sends at once. */
interface Step {
  readonly side: Side
  readonly octets: Buffer
}

/** What is to be recorded of a stream. */
export interface ExpectedStream {
  readonly path: string
  readonly fields: readonly Field[]
  readonly body: string
  readonly requestTrailers: readonly Field[]
  readonly interim: readonly number[]
  readonly status: number
  readonly responseFields: readonly Field[]
  readonly responseBody: string
  readonly trailers: readonly Field[]
  /** Of a reset by the server in place of the end of the response. */
  readonly resetCode: number | undefined
}

/** A conversation, and what is to be recorded of it. */
export interface Http2Conversation {
  readonly script: Script
  readonly streams: readonly ExpectedStream[]
}

const text = fc.string({
  unit: fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code)),
  maxLength: 40,
})
const fields = fc.array(
  fc.tuple(fc.stringMatching(/^x-[a-z]{1,8}$/), text).map(([name, value]): Field => [name, value]),
  { maxLength: 4 },
)
/** Bodies in pieces; most are small. */
const pieces = fc.array(
  fc.oneof({ arbitrary: text, weight: 9 }, { arbitrary: fc.constant('large'.repeat(3000)), weight: 1 }),
  { maxLength: 3 },
)
const padding = fc.option(fc.nat(255), { nil: undefined })
const blockSize = fc.constantFrom(16_384, 16_384, 5)
const cuts: fc.Arbitrary<Turn['cuts']> = fc.oneof(
  { arbitrary: fc.constant([]), weight: 2 },
  { arbitrary: fc.array(fc.nat(), { minLength: 1, maxLength: 5 }), weight: 6 },
  { arbitrary: fc.constant('each' as const), weight: 1 },
)

const message = fc.record({
  fields,
  pieces,
  trailers: fields,
  padding,
  maxFrameBytes: blockSize,
})
const stream = fc.record({
  request: message,
  response: message,
  interim: fc.array(fc.constantFrom(100, 103), { maxLength: 2 }),
  status: fc.constantFrom(200, 201, 404, 500),
  resetCode: fc.option(fc.nat(20), { nil: undefined, freq: 6 }),
})
type Message = typeof message extends fc.Arbitrary<infer Value> ? Value : never
type Stream = typeof stream extends fc.Arbitrary<infer Value> ? Value : never

/** What says nothing about exchanges. */
const aside: fc.Arbitrary<Buffer> = fc.constantFrom(
  writePing(Buffer.alloc(8)),
  writeFrame({ type: 0xfa, flags: 0xff, streamId: 1, payload: Buffer.from('unknown') }),
  writeFrame({ type: FRAME.windowUpdate, payload: Buffer.from([0, 0, 0, 1]) }),
)

function framesOf(id: number, own: Message, head: readonly Field[], resetCode?: number): Buffer[] {
  const { pieces: body, trailers, maxFrameBytes } = own
  const isReset = resetCode !== undefined
  const hasTrailers = trailers.length > 0 && !isReset
  const endsWithHead = body.length === 0 && !hasTrailers && !isReset
  const frames = [headers(id, [...head, ...own.fields], { endStream: endsWithHead, maxFrameBytes })]
  for (const [at, piece] of body.entries()) {
    const endStream = at === body.length - 1 && !hasTrailers && !isReset
    frames.push(writeData(id, Buffer.from(piece, 'latin1'), { endStream, padding: own.padding }))
  }
  if (hasTrailers) frames.push(headers(id, trailers, { endStream: true, maxFrameBytes }))
  if (isReset) frames.push(writeReset(id, resetCode))
  return frames
}

function stepsOf({ request, response, interim, status, resetCode }: Stream, at: number): Step[] {
  const id = at * 2 + 1
  const head: Field[] = [
    [':method', 'POST'],
    [':scheme', 'https'],
    [':authority', 'origin.test'],
    [':path', `/${at}`],
  ]
  return [
    ...framesOf(id, request, head).map((octets): Step => ({ side: 'client', octets })),
    ...interim.map((each): Step => ({ side: 'server', octets: headers(id, [[':status', String(each)]]) })),
    ...framesOf(id, response, [[':status', String(status)]], resetCode).map((octets): Step => ({
      side: 'server',
      octets,
    })),
  ]
}

function expectedOf({ request, response, interim, status, resetCode }: Stream, at: number): ExpectedStream {
  return {
    path: `/${at}`,
    fields: request.fields,
    body: request.pieces.join(''),
    requestTrailers: request.trailers,
    interim,
    status,
    responseFields: response.fields,
    responseBody: response.pieces.join(''),
    trailers: resetCode === undefined ? response.trailers : [],
    resetCode,
  }
}

/** Puts the steps of several streams together: each in its order, opened in the order of their numbers. */
function interleave(all: readonly (readonly Step[])[], order: readonly number[]): Step[] {
  const left = all.map((steps) => [...steps])
  const steps: Step[] = []
  let opened = 0
  for (let turn = 0; left.some((each) => each.length > 0); turn++) {
    const open = left.filter((each, at) => at < opened && each.length > 0)
    const pick = (order[turn % Math.max(1, order.length)] ?? 0) % (open.length + 1)
    const chosen = open[pick] ?? (opened < left.length ? left[opened++] : open[0])
    const step = chosen?.shift()
    if (step) steps.push(step)
  }
  return steps
}

const OPENING: readonly Step[] = [
  { side: 'client', octets: Buffer.concat([PREFACE, writeSettings([])]) },
  { side: 'server', octets: writeSettings([]) },
]

interface Manner {
  readonly cuts: readonly Turn['cuts'][]
  readonly isEager: readonly boolean[]
  readonly endsFirst: 'client' | 'server' | 'both'
}

const manner: fc.Arbitrary<Manner> = fc.record({
  cuts: fc.array(cuts, { minLength: 7, maxLength: 7 }),
  isEager: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
  endsFirst: fc.constantFrom('client', 'server', 'both'),
})

/** Each step waits for those of the other side before it, or not. */
function scriptOf(steps: readonly Step[], { cuts: allCuts, isEager, endsFirst }: Manner, isOrdered: boolean): Script {
  const said = { client: 0, server: 0 }
  const turns: { client: Turn[]; server: Turn[] } = { client: [], server: [] }
  for (const [at, { side, octets }] of steps.entries()) {
    const other = side === 'client' ? 'server' : 'client'
    const waits = isOrdered || !isEager[at % isEager.length]
    turns[side].push({
      octets: octets.toString('latin1'),
      after: waits ? said[other] : 0,
      cuts: allCuts[at % allCuts.length] ?? [],
    })
    said[side] += octets.length
  }
  const line = (side: Side): Line => ({
    turns: turns[side],
    ending: 'fin',
    endAfter: endsFirst === 'both' || endsFirst === side ? said[side === 'client' ? 'server' : 'client'] : 'end',
  })
  return { client: line('client'), server: line('server') }
}

/** Conversations in which everything is in order. */
export const http2Conversations: fc.Arbitrary<Http2Conversation> = fc
  .record({
    streams: fc.array(stream, { minLength: 1, maxLength: 5 }),
    order: fc.array(fc.nat(50), { maxLength: 30 }),
    asides: fc.array(fc.tuple(fc.constantFrom<Side>('client', 'server'), aside), { maxLength: 3 }),
    manner,
  })
  .map(({ streams, order, asides, manner: how }) => {
    const said = asides.map(([side, octets]): Step => ({ side, octets }))
    const steps = [...OPENING, ...interleave(streams.map(stepsOf), order), ...said]
    return { script: scriptOf(steps, how, true), streams: streams.map(expectedOf) }
  })

const oddFrame = fc
  .record({
    type: fc.integer({ min: 0, max: 12 }),
    flags: fc.integer({ min: 0, max: 255 }),
    streamId: fc.constantFrom(0, 1, 2, 3, 0x7fffffff, 0x80000001),
    payload: fc.uint8Array({ maxLength: 40 }),
    length: fc.option(fc.nat(70), { nil: undefined, freq: 3 }),
  })
  .map(writeFrame)
const oddOctets = fc.oneof(
  { arbitrary: oddFrame, weight: 6 },
  { arbitrary: fc.uint8Array({ minLength: 1, maxLength: 60 }).map((octets) => Buffer.from(octets)), weight: 1 },
  { arbitrary: fc.nat(9).map((last) => writeGoAway(last, 0)), weight: 1 },
)

/** Conversations in which anything may come behind what is in order. */
export const oddHttp2Scripts: fc.Arbitrary<Script> = fc
  .record({
    streams: fc.array(stream, { maxLength: 3 }),
    order: fc.array(fc.nat(50), { maxLength: 30 }),
    odd: fc.array(fc.record({ side: fc.constantFrom<Side>('client', 'server'), octets: oddOctets, at: fc.nat() }), {
      minLength: 1,
      maxLength: 6,
    }),
    manner,
  })
  .map(({ streams, order, odd, manner: how }) => {
    const steps = interleave(streams.map(stepsOf), order)
    for (const { side, octets, at } of odd) steps.splice(at % (steps.length + 1), 0, { side, octets })
    return scriptOf([...OPENING, ...steps], how, false)
  })
