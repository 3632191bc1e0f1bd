package millrace.interop;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.pravega.client.control.impl.Controller;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.PingFailedException;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.Transaction;
import io.pravega.client.stream.TransactionalEventStreamWriter;
import io.pravega.client.stream.TxnFailedException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** How transactions end, and what is refused before and after that. */
final class TransactionEndCases {
    private TransactionEndCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("transactions: the handle of a finished one does nothing more", TransactionEndCases::handles),
                Case.of("transactions: ends asked for again get the same answer each time", TransactionEndCases::again),
                Case.of("transactions: trap 47: one that nobody knows", TransactionEndCases::unknown),
                Case.of("transactions: a lease is within bounds", TransactionEndCases::leases).oursOnly(),
                Case.of("transactions: one that nobody pings ends, one that is pinged stays", TransactionEndCases::timeOut),
                Case.of("transactions: sealing a stream aborts the open ones", TransactionEndCases::seal),
                Case.of("transactions: none begins on a sealed stream", TransactionEndCases::sealed).oursOnly(),
                Case.of("transactions: those of a stream that was deleted are forgotten", TransactionEndCases::deleted).oursOnly());
    }

    private static void handles(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        Transaction<byte[]> committed = writer.beginTxn();
        Transactions.write(committed, 1, 5, 0, 2);
        Transactions.commit(committed);
        Transaction<byte[]> aborted = writer.beginTxn();
        Transactions.write(aborted, 2, 5, 0, 2);
        aborted.abort();
        Transactions.expectStatus(aborted, Transaction.Status.ABORTED);
        for (Transaction<byte[]> ended : List.of(committed, aborted, writer.getTxn(committed.getTxnId()), writer.getTxn(aborted.getTxnId()))) {
            Expect.fails(TxnFailedException.class, "a commit", ended::commit);
            Expect.fails(TxnFailedException.class, "an event", () -> ended.writeEvent("key", new byte[1]));
            Expect.fails(TxnFailedException.class, "a flush", ended::flush);
            ended.abort();
        }
        Expect.equal(committed.checkStatus(), Transaction.Status.COMMITTED, "the status of the one");
        Expect.equal(aborted.checkStatus(), Transaction.Status.ABORTED, "the status of the other");
        // One that is ended behind the back of the writer that has it open.
        Transaction<byte[]> pulled = writer.beginTxn();
        Transactions.write(pulled, 3, 5, 0, 2);
        pulled.flush();
        writer.getTxn(pulled.getTxnId()).abort();
        Transactions.expectStatus(pulled, Transaction.Status.ABORTED);
        Expect.fails(TxnFailedException.class, "the commit of an aborted one", pulled::commit);
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, 10), "what is there");
    }

    private static void again(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        Controller controller = fixture.controller();
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        Transaction<byte[]> committed = writer.beginTxn();
        Transactions.write(committed, 1, 5, 0, 2);
        committed.flush();
        UUID yes = committed.getTxnId();
        UUID no = writer.beginTxn().getTxnId();
        for (int round = 0; round < 3; round++) {
            controller.commitTransaction(stream, "writer", null, yes).get();
            Expect.fails(RuntimeException.class, "aborting what is committed", () -> controller.abortTransaction(stream, yes).get());
            Expect.equal(controller.pingTransaction(stream, yes, 10_000).get(), Transaction.PingStatus.COMMITTED, "a ping of it");
            controller.abortTransaction(stream, no).get();
            Expect.fails(TxnFailedException.class, "committing what is aborted", () ->
                    controller.commitTransaction(stream, "writer", null, no).get());
            Expect.equal(controller.pingTransaction(stream, no, 10_000).get(), Transaction.PingStatus.ABORTED, "a ping of it");
            Expect.eventually(Duration.ofSeconds(30), "both ends come", () ->
                    controller.checkTransactionStatus(stream, yes).join() == Transaction.Status.COMMITTED
                            && controller.checkTransactionStatus(stream, no).join() == Transaction.Status.ABORTED);
        }
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, 10), "what is there");
    }

    private static void unknown(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        Controller controller = fixture.controller();
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        for (UUID id : List.of(new UUID(0, 1), new UUID(7L << 32, 1), new UUID(-1, -1))) {
            notFound("its status", () -> controller.checkTransactionStatus(stream, id).get());
            notFound("finding it", () -> writer.getTxn(id));
            notFound("a ping", () -> controller.pingTransaction(stream, id, 10_000).get());
            Expect.fails(TxnFailedException.class, "a commit", () -> controller.commitTransaction(stream, "writer", null, id).get());
            Expect.fails(RuntimeException.class, "an abort", () -> controller.abortTransaction(stream, id).get());
        }
        Expect.equal(fixture.streams.listCompletedTransactions(stream), List.of(), "the completed transactions");
        Expect.equal(Scaling.epoch(Scaling.current(fixture, stream)), 0, "the epoch");
    }

    private static void notFound(String what, Expect.Action action) {
        StatusRuntimeException failure = Expect.fails(StatusRuntimeException.class, what, action);
        Expect.equal(failure.getStatus().getCode(), Status.Code.NOT_FOUND, "the status of " + what);
    }

    /** With Pravega the client tries again for more than a minute. */
    private static void leases(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        Controller controller = fixture.controller();
        for (long leaseMs : new long[] {-1, 0, 1, 9_999, 600_001, Long.MAX_VALUE}) {
            invalid("a lease of " + leaseMs, () -> controller.createTransaction(stream, leaseMs).get());
        }
        for (long leaseMs : new long[] {10_000, 600_000}) {
            UUID id = controller.createTransaction(stream, leaseMs).join().getTxnId();
            Expect.equal(controller.pingTransaction(stream, id, 600_000).get(), Transaction.PingStatus.OPEN, "a ping");
            Expect.fails(PingFailedException.class, "a ping for too long", () -> controller.pingTransaction(stream, id, 600_001).get());
            Expect.equal(controller.checkTransactionStatus(stream, id).join(), Transaction.Status.OPEN, "the status after that");
            controller.abortTransaction(stream, id).get();
        }
        Expect.fails(IllegalArgumentException.class, "a writer with too short a lease", () ->
                EventWriterConfig.builder().transactionTimeoutTime(9_999).build());
    }

    private static void invalid(String what, Expect.Action action) {
        long start = System.nanoTime();
        Throwable cause = Expect.fails(RuntimeException.class, what, action);
        while (cause != null && !(cause instanceof StatusRuntimeException)) {
            cause = cause.getCause();
        }
        Expect.that(cause != null, what + " ends with a status of the controller");
        Expect.equal(((StatusRuntimeException) cause).getStatus().getCode(), Status.Code.INVALID_ARGUMENT, "the status of " + what);
        Expect.that(System.nanoTime() - start < 5_000_000_000L, what + " is refused at once");
    }

    private static void timeOut(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        EventWriterConfig config = EventWriterConfig.builder().transactionTimeoutTime(Transactions.LEASE_MS).build();
        TransactionalEventStreamWriter<byte[]> alive = fixture.closing(
                fixture.events().createTransactionalEventWriter("stream", Fixture.BYTES, config));
        TransactionalEventStreamWriter<byte[]> gone = fixture.events().createTransactionalEventWriter("stream", Fixture.BYTES, config);
        Transaction<byte[]> pinged = alive.beginTxn();
        Transaction<byte[]> left = gone.beginTxn();
        Transactions.write(pinged, 1, 5, 0, 1);
        Transactions.write(left, 2, 5, 0, 1);
        left.flush();
        // Its pings end with it.
        gone.close();
        long start = System.nanoTime();
        Transactions.expectStatus(left, Transaction.Status.ABORTED);
        double seconds = (System.nanoTime() - start) / 1e9;
        Expect.that(seconds > 8 && seconds < 16, "it ends after about ten seconds, not " + seconds);
        Expect.fails(TxnFailedException.class, "committing what has timed out", left::commit);
        Thread.sleep(2_000);
        Expect.equal(pinged.checkStatus(), Transaction.Status.OPEN, "the status of the one that is pinged");
        Transactions.write(pinged, 1, 5, 1, 2);
        Transactions.commit(pinged);
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, 10), "what is there");
    }

    private static void seal(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        Transaction<byte[]> first = writer.beginTxn();
        Transactions.write(first, 1, 5, 0, 2);
        first.commit();
        Transaction<byte[]> open = writer.beginTxn();
        Transactions.write(open, 2, 5, 0, 2);
        open.flush();
        Expect.that(fixture.streams.sealStream(fixture.scope, "stream"), "the stream is sealed");
        Transactions.expectStatus(open, Transaction.Status.ABORTED);
        Transactions.expectStatus(first, Transaction.Status.COMMITTED);
        Expect.fails(TxnFailedException.class, "committing in a sealed stream", open::commit);
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, 10), "what is there");
    }

    /** With Pravega the client tries again for more than a minute. */
    private static void sealed(Fixture fixture) {
        fixture.stream("stream", 2);
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        fixture.streams.sealStream(fixture.scope, "stream");
        invalid("beginning one", writer::beginTxn);
    }

    private static void deleted(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        Transaction<byte[]> committed = writer.beginTxn();
        Transactions.write(committed, 1, 5, 0, 2);
        Transactions.commit(committed);
        Transaction<byte[]> open = writer.beginTxn();
        fixture.streams.sealStream(fixture.scope, "stream");
        Expect.that(fixture.streams.deleteStream(fixture.scope, "stream"), "the stream is deleted");
        fixture.stream("stream", 2);
        Expect.equal(fixture.streams.listCompletedTransactions(stream), List.of(), "the completed transactions of the new one");
        notFound("the status of a committed one", committed::checkStatus);
        notFound("the status of one that was open", open::checkStatus);
        Transaction<byte[]> next = Transactions.writer(fixture, "stream").beginTxn();
        Transactions.write(next, 1, 5, 0, 3);
        Transactions.commit(next);
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, 15), "what is there");
    }
}
