package millrace.interop;

import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.Transaction;
import io.pravega.client.stream.TransactionalEventStreamWriter;
import io.pravega.client.stream.TxnFailedException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What writing in transactions takes. */
final class Transactions {
    /** The shortest that the client and the server take. */
    static final long LEASE_MS = 10_000;

    private Transactions() {
    }

    static TransactionalEventStreamWriter<byte[]> writer(Fixture fixture, String stream) {
        return fixture.closing(fixture.events().createTransactionalEventWriter(stream, Fixture.BYTES,
                EventWriterConfig.builder().transactionTimeoutTime(30_000).build()));
    }

    /** The events of one writer, so many under each of the keys. */
    static void write(Transaction<byte[]> transaction, int writer, int keys, long from, long to) throws TxnFailedException {
        for (long sequence = from; sequence < to; sequence++) {
            for (int key = 0; key < keys; key++) {
                transaction.writeEvent(Numbered.keyName(key), Numbered.event(writer, key, sequence, 60));
            }
        }
    }

    /** Trap 48: that it is to be committed is recorded when commit returns; its events may come a little later. */
    static void commit(Transaction<byte[]> transaction) throws Exception {
        transaction.commit();
        expectStatus(transaction, Transaction.Status.COMMITTED);
    }

    static void expectStatus(Transaction<byte[]> transaction, Transaction.Status status) throws Exception {
        Expect.eventually(Duration.ofSeconds(30), "the transaction is " + status, () -> transaction.checkStatus() == status);
    }

    /** How many events of each writer there are; each writer's must be whole and in order from 0. */
    static Map<Integer, Integer> read(Fixture fixture, Stream stream) {
        List<byte[]> events = Readers.batch(fixture, stream);
        Numbered.Ledger ledger = new Numbered.Ledger(events.size());
        Map<Integer, Integer> counts = new HashMap<>();
        for (byte[] event : events) {
            ledger.accept(event);
            counts.merge(ByteBuffer.wrap(event).getInt(), 1, Integer::sum);
        }
        return counts;
    }
}
