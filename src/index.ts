/** The public names of the core: everything without Playwright. */
export { Connection } from './connection.ts'
export type {
  CertificateFacts,
  ConnectionEndReason,
  ConnectionFlow,
  ConnectionSettings,
  ExchangeMoment,
  FlowListener,
  OtherServer,
  StreamEnd,
  TlsFacts,
} from './connection.ts'
export type { Door, DoorOptions } from './door.ts'
export { ERROR_CODES, isMitmError, MitmError } from './errors.ts'
export type { ErrorCode, MitmErrorDetails, Side } from './errors.ts'
export { ExchangeTimings } from './exchange-timings.ts'
export { Exchange, HttpMessage, HttpRequest, HttpResponse } from './exchange.ts'
export type { ExchangeEndReason, Field, HandlerRecord, HeadParser, RequestHead, ResponseHead } from './exchange.ts'
export type {
  AnswerPart,
  CertificateFlaw,
  CutPart,
  DialPart,
  Fault,
  FaultFeed,
  FaultPart,
  FaultRecord,
  FaultyFrame,
  FaultyHttp2Frame,
  HeadPart,
  Http2Cut,
  Http2Part,
  Http2SettingValues,
  InjectedFault,
  MessageChange,
  MessageOnItsWay,
  Pace,
  PacePart,
  RewritePart,
  TimedOctets,
  TlsPart,
  TunnelPart,
  WebSocketAction,
  WebSocketPart,
} from './fault.ts'
export * as faults from './faults/faults.ts'
export { Host } from './host.ts'
export type { HostOptions } from './host.ts'
export { http2ErrorName } from './http2-errors.ts'
export type { Http2ErrorName } from './http2-errors.ts'
export { Http2Facts } from './http2-facts.ts'
export type { ReceivedEvent } from './internal/event-stream.ts'
export type { MaybePromise } from './internal/maybe-promise.ts'
export type { Seed } from './internal/random.ts'
export type { Signal, WaitOutcome } from './internal/signal.ts'
export type {
  Answer,
  ConnectionIntervention,
  ConnectionMoment,
  DataTransform,
  InterimResponse,
  Intervention,
  Middleware,
  OctetsTransform,
  OfferedAlpn,
  Rewrite,
  RewrittenRequest,
  RewrittenResponse,
  StreamRewrite,
} from './middleware.ts'
export type { ConnectionRecord, ServerRecord } from './middleware/connection-record.ts'
export { httpLog } from './middleware/http-log.ts'
export { log } from './middleware/log.ts'
export type { LogOptions } from './middleware/log.ts'
export { recorder } from './middleware/recorder.ts'
export type { Recorder, RecorderOptions } from './middleware/recorder.ts'
export { Mitm } from './mitm.ts'
export type { MitmAuthority, Registration } from './mitm.ts'
export type { LeafIssuer, MitmOptions, ResolvedOptions, ServerFlaws } from './options.ts'
export { InvalidProtocol, Protocol } from './protocol.ts'
export type { Destination } from './protocol.ts'
export { Http1 } from './protocols/http1/http1.ts'
export { Http2 } from './protocols/http2/http2.ts'
export { Socks } from './protocols/socks/socks.ts'
export { Tcp } from './protocols/tcp/tcp.ts'
export { compileFilter } from './rules/filter.ts'
export type {
  CompiledFilter,
  ExchangeFilter,
  ExchangeFilterObject,
  GraphqlFilter,
  MultipartFileFilter,
  NamedValueFilter,
  NamedValuesFilter,
  ValueFilter,
} from './rules/filter.ts'
export type { GraphqlOperation, GraphqlOperationType } from './rules/graphql-request.ts'
export type { HeadersInput } from './rules/headers-input.ts'
export type { RequestChange, ResponseChange } from './rules/message-change.ts'
export type { RequestView, ResponseView } from './rules/message-view.ts'
export type { AsymmetricMatcher } from './rules/predicate.ts'
export type { RequestRewriter, ResponseRewriter } from './rules/rewrite-act.ts'
export type { JsonInit, Responder, ResponseLike } from './rules/answer-act.ts'
export type { AnswerBody, RespondInit } from './rules/answer-init.ts'
export type { StreamBody } from './rules/answer-stream.ts'
export type { CorsOptions } from './rules/cors.ts'
export type { StreamFactory } from './rules/data-act.ts'
export type { EventChange, EventRewriter } from './rules/events-act.ts'
export type { ServerSentEvent } from './rules/event-stream.ts'
export type { JsonPatchOperation } from './rules/json-edit.ts'
export type { ContentInput } from './rules/content-change.ts'
export type { Replacement, Replacer } from './rules/text-replace.ts'
export type { EventSourceInput, SseInit } from './rules/sse-act.ts'
export type { MswHandler, MswRequestHandler, MswWebSocketHandler } from './msw/handlers.ts'
export type { HandlerOptions } from './msw/handler-options.ts'
export type { RuledMitm } from './ruled-mitm.ts'
export type { Rule } from './rules/rule.ts'
export type { DuringOptions } from './rules/limits.ts'
export type { RuleActs } from './rules/rule-acts.ts'
export type { MessageHandler, MessageHandlerOptions, WebSocketMockOptions } from './rules/web-socket-act.ts'
export type { WebSocketRule } from './rules/web-socket-rule.ts'
export type { SequenceStep } from './rules/sequence.ts'
export { UnmatchedError } from './rules/unmatched.ts'
export type { UnhandledMode, Unmatched, UnmatchedMode, UnmatchedOptions } from './rules/unmatched.ts'
export type { TrafficSource } from './source.ts'
export type {
  MessageVerdict,
  MitmWebSocket,
  MockedWebSocket,
  WebSocketData,
  WebSocketHandler,
  WebSocketMock,
  WebSocketPeer,
} from './web-socket.ts'
export { WebSocketMessage } from './web-socket-message.ts'
export type { MessageDirection, MessageOutcome } from './web-socket-message.ts'
export { WebSocketRecord } from './web-socket-record.ts'
export type { FrameProblem, InvalidFrame, SocketEnder, WebSocketControl } from './web-socket-record.ts'
export type { ClientCertificate, Lookup, ResolvedUpstream, UpstreamOptions, UpstreamProxy } from './upstream-options.ts'
export { startMitm, TestMitm } from './test-mitm.ts'
export type { TestMitmOptions } from './test-mitm.ts'
export type { IdleOptions, WaitOptions } from './waits.ts'
export { CertificateAuthority } from './tls/certificate-authority.ts'
export type { CertificateAuthorityOptions } from './tls/certificate-authority.ts'
