package millrace.bench;

import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.Transaction;
import io.pravega.client.stream.TransactionalEventStreamWriter;
import io.pravega.client.stream.impl.ByteBufferSerializer;
import java.nio.ByteBuffer;

/** One transaction after the other; the next one begins when the events of the last one can be read. */
final class TransactionLoad extends Load {
    /** Between two questions whether a commit is through: that it is recorded is all the client itself waits for. */
    private static final double POLL_MS = 2;

    private final TransactionalEventStreamWriter<ByteBuffer> writer;

    TransactionLoad(Spec spec, EventStreamClientFactory factory, Events events, Phases phases, int writerNumber) {
        super(spec, events, phases, writerNumber);
        // Otherwise each segment of each transaction has a connection of its own, with buffers that soon fill the heap.
        EventWriterConfig config = EventWriterConfig.builder().enableConnectionPooling(true).build();
        writer = factory.createTransactionalEventWriter("bench-" + writerNumber, spec.stream,
                new ByteBufferSerializer(), config);
    }

    @Override
    void load() throws Exception {
        for (double now = phases.nowMs(); now < phases.endMs; now = phases.nowMs()) {
            noteBeginning(now);
            Transaction<ByteBuffer> transaction = writer.beginTxn();
            for (int left = spec.transactionEvents; left > 0; left--) {
                long sequence = made++;
                transaction.writeEvent(Events.keyOf(sequence), events.make(writerNumber, sequence, 0));
            }
            commit(transaction, now);
        }
        writer.close();
    }

    private void commit(Transaction<ByteBuffer> transaction, double beganMs) throws Exception {
        double commitMs = phases.nowMs();
        transaction.commit();
        for (double now = phases.nowMs();; now = phases.nowMs()) {
            Transaction.Status status = transaction.checkStatus();
            if (status == Transaction.Status.COMMITTED) {
                break;
            }
            if (status != Transaction.Status.COMMITTING) {
                throw new IllegalStateException("A transaction that was to be committed is " + status);
            }
            phases.sleepUntil(now + POLL_MS);
        }
        if (beganMs >= phases.warmUpEndMs) {
            record(commitMs);
        }
    }
}
