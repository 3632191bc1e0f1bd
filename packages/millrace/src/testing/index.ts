/** `millrace/testing`: a store for tests of programs that use one. */
export { testStore, type TestClock, type TestStore, type TestStoreOptions } from './test-store/test-store.ts'
