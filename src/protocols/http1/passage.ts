/** How octets of exchanges leave a session: through the transforms, edits and faults that rules want, in order. */
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { DataTransform } from '../../middleware.ts'
import { findHeadEnd } from './head.ts'
import { Outbox } from '../http/outbox.ts'
import type { Session } from './session.ts'
import type { Sink, Transfer } from './transfer.ts'

/** What is sent to one side after transforms that may take their time. */
interface Order {
  last: Promise<void> | undefined
}

/** The ways out of a session. */
export class Passage {
  readonly toClient: Outbox = new Outbox()
  readonly toServer: Outbox = new Outbox()
  readonly #session: Session
  readonly #clientOrder: Order = { last: undefined }
  readonly #serverOrder: Order = { last: undefined }

  constructor(session: Session) {
    this.#session = session
  }

  /** Sends octets of a request. */
  sendToServer(transfer: Transfer, octets: Buffer): MaybePromise<void> {
    const { faults } = transfer
    if (faults && !faults.server.hasPassed && !faults.server.isStopped) faults.begin('server', octets)
    const sink: Sink = faults?.server ?? this.toServer
    return this.#pass(octets, transfer.plan?.clientData, sink, this.#serverOrder)
  }

  /** Sends octets of a response; its head first, whole, perhaps with more behind it. */
  sendToClient(transfer: Transfer, octets: Buffer): MaybePromise<void> {
    const { plan, faults } = transfer
    if (!plan) {
      this.toClient.add(octets)
      return undefined
    }
    const sent = transfer.hasHead ? octets : beginResponse(transfer, octets)
    return this.#pass(sent, plan.serverData, faults?.client ?? this.toClient, this.#clientOrder)
  }

  /** Resolves when all of a response has left; undefined when it has. */
  responseSettled(transfer: Transfer | undefined): Promise<void> | undefined {
    if (!transfer?.faults) return this.toClient.whenSent()
    this.#session.flush()
    return transfer.faults.client.settled()
  }

  /** Drops what has not left. */
  close(): void {
    this.toClient.close()
    this.toServer.close()
  }

  #pass(
    octets: Buffer,
    transforms: readonly DataTransform[] | undefined,
    sink: Sink,
    order: Order,
  ): MaybePromise<void> {
    if (!transforms?.length || octets.length === 0) return sink.add(octets)
    order.last = this.#transform(transforms, octets, sink, order.last)
    return order.last
  }

  /** Passes octets through transforms, after what still has to be sent before them, however long that takes. */
  async #transform(
    transforms: readonly DataTransform[],
    octets: Buffer,
    sink: Sink,
    before: Promise<void> | undefined,
  ): Promise<void> {
    await before
    let current = octets
    for (const transform of transforms) current = Buffer.from(await transform(current, this.#session.connection))
    const wait = sink.add(current)
    this.#session.flush()
    if (isPromise(wait)) await wait
  }
}

/** What is to be done when the head of a final response leaves: the last edits of its octets. */
function beginResponse(transfer: Transfer, octets: Buffer): Buffer {
  if (octets.length === 0 || /^HTTP\/1\.\d 1(?!01)/.test(octets.toString('latin1', 0, 12))) return octets
  transfer.hasHead = true
  transfer.faults?.responded()
  const edits = transfer.plan?.responseHead ?? []
  const end = edits.length > 0 ? findHeadEnd(octets) : -1
  if (end < 0) {
    transfer.faults?.begin('client', octets)
    return octets
  }
  let head = octets.subarray(0, end)
  for (const part of edits) {
    head = part.edit(head)
    transfer.closesClient ||= part.closes
  }
  const edited = Buffer.concat([head, octets.subarray(end)])
  transfer.faults?.begin('client', edited)
  return edited
}
