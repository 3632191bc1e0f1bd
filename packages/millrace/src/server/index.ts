/** `millrace/server`: a server for Pravega's clients inside a program of one's own. */
export { type Server, type ServerEvent, type ServerOptions, startServer } from './server.ts'
export { nodeHost } from '../base/node-host.ts'
