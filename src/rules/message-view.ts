/** What functions of a rule see of a message: its head, and its content decoded. */
import { HttpRequest, HttpResponse } from '../exchange.ts'
import type { Field } from '../exchange.ts'
import type { RewrittenRequest, RewrittenResponse } from '../middleware.ts'

/** A message that can be read. Its octets are copies: writing to them changes nothing. */
export interface MessageView {
  /** The fields by lower-case name; several of one name are joined by `, `, those of `set-cookie` by a line feed. */
  readonly headers: Readonly<Record<string, string>>
  /** The fields in order, as they were on the wire. */
  readonly fields: readonly Field[]
  /** The content, decoded. @throws {@link MitmError} `MITM_BODY_UNDECODABLE` when it is not what its fields say. */
  readonly body: Buffer
  /** The content as text. @throws as `body` */
  text(): string
  /** The content as JSON. @throws as `body`, also when it is not JSON */
  json(): unknown
}

/** What `rewriteRequest` shows its function. */
export interface RequestView extends MessageView {
  readonly method: string
  /** Absolute. */
  readonly url: string
}

/** What `rewriteResponse` shows its function. */
export interface ResponseView extends MessageView {
  readonly status: number
  /** The reason phrase; empty in HTTP/2. */
  readonly statusText: string
}

/** Makes the view of a request that has its body. */
export function viewRequest({ method, url, fields, body }: RewrittenRequest): RequestView {
  const request = new HttpRequest({ method, url, target: url, httpVersion: '', fields })
  return Object.assign(viewOf(request, body), { method, url })
}

/** Makes the view of a response that has its body. */
export function viewResponse({ status, statusText, fields, body }: RewrittenResponse): ResponseView {
  const response = new HttpResponse({ status, statusText, httpVersion: '', fields })
  return Object.assign(viewOf(response, body), { status, statusText })
}

/** Makes the view of the content of a message that has its body. */
export function viewContent({ fields, body }: Pick<RewrittenResponse, 'fields' | 'body'>): MessageView {
  return viewOf(new HttpResponse({ status: 0, statusText: '', httpVersion: '', fields }), body)
}

function viewOf(message: HttpRequest | HttpResponse, body: Buffer | undefined): MessageView {
  message.keepBody(Number.POSITIVE_INFINITY)
  if (body) message.addBody(body)
  message.finish()
  return {
    headers: message.headers,
    fields: message.fields,
    get body() {
      return Buffer.from(message.decodedBody())
    },
    text: () => message.text(),
    json: () => message.json(),
  }
}
