/** Sessions of HTTP/2, frame by frame, on the stage of {@link walk}: relayed, and taken apart by a bridge. */
import type { Field } from '../exchange.ts'
import { writeFrame, writeHeaders } from '../protocols/http2/frame-write.ts'
import { FLAG, FRAME, FRAME_HEAD_BYTES } from '../protocols/http2/frame.ts'
import { writeFieldBlock } from '../protocols/http2/hpack-encode.ts'
import { until } from './abrupt-ends.ts'
import type { AbruptEnd, Ends, Stage, State } from './abrupt-ends.ts'
import type { Door } from './doors.ts'
import { FramePeer } from './frame-peer.ts'

/** How HTTP/2 passes. */
export interface Passage {
  readonly name: string
  readonly door: Door
  /**
   * Relayed as octets; taken apart, with the server asked first, whose end is that of the connection; or taken apart with
   * the server asked when a request needs it.
   */
  readonly mode: 'relay' | 'bridge' | 'late bridge'
  /** What the server offers in TLS. @defaultValue HTTP/2 */
  readonly serverAlpn?: readonly string[]
}

/** Both ends of a session, and what speaks frames at them. */
export interface Session {
  readonly ends: Ends & { readonly server: AbruptEnd }
  readonly client: FramePeer
  readonly server: FramePeer
}

/** What the states of a passage have in common. */
export function secured({ door, serverAlpn = ['h2'] }: Passage): Pick<State, 'isSecure' | 'alpn'> {
  return { isSecure: door.endsWith('tls'), alpn: { client: ['h2'], server: serverAlpn } }
}

/** A client that has said nothing yet, to a mitm that passes HTTP/2 on in this way. */
export async function arrive(stage: Stage, { door, mode }: Passage): Promise<AbruptEnd> {
  // Neither is ever for a request that is made.
  const nothing = { url: '**://origin.test/nothing' }
  if (mode === 'bridge') stage.mitm.when(nothing).rewriteRequest({ headers: { a: 'b' } })
  if (mode === 'late bridge') stage.mitm.when(nothing).respond(200)
  return await stage.enter(door)
}

/** A client that has greeted. */
export async function greeted(
  stage: Stage,
  passage: Passage,
): Promise<{ readonly end: AbruptEnd; readonly client: FramePeer }> {
  const end = await arrive(stage, passage)
  return { end, client: new FramePeer(end.wire, 'client').greet() }
}

/** A session in which one exchange has passed. @param settings - Of the server */
export async function session(
  stage: Stage,
  passage: Passage,
  settings: readonly (readonly [id: number, value: number])[] = [],
): Promise<Session> {
  // In TLS, a server that is asked first does its handshake before the client does.
  const [{ end, client }, serverEnd] = await Promise.all([asked(stage, passage), stage.accept()])
  const server = new FramePeer(serverEnd.wire, 'server').greet(settings)
  await server.hear('END 1')
  server.respond(1, 204, true)
  await client.hear('END 1')
  await until(() => stage.mitm.exchanges[0]?.endReason !== undefined)
  const heard = { client: client.heard, server: server.heard }
  return { ends: { client: end, server: serverEnd, heard }, client, server }
}

async function asked(stage: Stage, passage: Passage): Promise<{ readonly end: AbruptEnd; readonly client: FramePeer }> {
  const { end, client } = await greeted(stage, passage)
  client.ask(1)
  return { end, client }
}

/** HEADERS without the end of the field block: CONTINUATION must follow. */
export function beginHeaders(streamId: number, fields: readonly Field[]): Buffer {
  return writeFrame({ type: FRAME.headers, flags: FLAG.endStream, streamId, payload: writeFieldBlock(fields) })
}

/** The first octets of a head of a response: its frame ends in the midst of it. */
export function cutHead(streamId: number): Buffer {
  const fields: readonly Field[] = [
    [':status', '200'],
    ['x-a', 'b'],
  ]
  return writeHeaders(streamId, writeFieldBlock(fields)).subarray(0, FRAME_HEAD_BYTES + 5)
}
