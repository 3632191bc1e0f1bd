package millrace.interop;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.Transaction;
import io.pravega.client.stream.TransactionInfo;
import io.pravega.client.stream.TransactionalEventStreamWriter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;

/** Events that become readable together or never. */
final class TransactionCases {
    private TransactionCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("transactions: nothing before the commit, all after it", TransactionCases::commit),
                Case.of("transactions: an aborted one leaves nothing", TransactionCases::abort),
                Case.of("transactions: an empty one", TransactionCases::empty),
                Case.of("transactions: events without a key stay together", TransactionCases::keyless),
                Case.of("transactions: found by its id from another client", TransactionCases::byId),
                Case.of("transactions: their events come in the order of the commits", TransactionCases::order),
                Case.of("transactions: a reader sees each as one piece", TransactionCases::pieces),
                Case.of("transactions: sixteen at once beside a plain writer", TransactionCases::sixteen),
                Case.of("transactions: a large one", TransactionCases::large),
                Case.of("transactions: trap 67: the completed ones are listed", TransactionCases::completed).oursOnly(),
                Case.of("transactions: trap 46: a commit after a scale adds two epochs", TransactionCases::rolling),
                Case.of("transactions: trap 45: found by its id after a scale", TransactionCases::byIdAfterScale),
                Case.of("transactions: a plain writer goes on while commits and scales change its segments", TransactionCases::plainWriter),
                Case.of("transactions: commits and scales under a reader group", TransactionCases::rollingUnderGroup));
    }

    private static void commit(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 4);
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        fixture.group("readers", "stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        Transaction<byte[]> transaction = writer.beginTxn();
        Expect.equal(transaction.checkStatus(), Transaction.Status.OPEN, "the status of a new transaction");
        Transactions.write(transaction, 1, 20, 0, 10);
        transaction.flush();
        Expect.equal(Transactions.read(fixture, stream), Map.of(), "what is there before the commit");
        Readers.expectQuiet(reader);
        Transactions.commit(transaction);
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, 200), "what is there after the commit");
        Numbered.Ledger ledger = new Numbered.Ledger(200);
        Readers.next(reader, 200).forEach(ledger::accept);
        Readers.expectQuiet(reader);
    }

    private static void abort(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 4);
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        Transaction<byte[]> aborted = writer.beginTxn();
        Transactions.write(aborted, 1, 20, 0, 10);
        aborted.flush();
        aborted.abort();
        Transactions.expectStatus(aborted, Transaction.Status.ABORTED);
        Transaction<byte[]> next = writer.beginTxn();
        Transactions.write(next, 2, 20, 0, 1);
        Transactions.commit(next);
        Expect.equal(Transactions.read(fixture, stream), Map.of(2, 20), "what is there");
    }

    private static void empty(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        Transaction<byte[]> transaction = Transactions.writer(fixture, "stream").beginTxn();
        Transactions.commit(transaction);
        Expect.equal(Transactions.read(fixture, stream), Map.of(), "what is there");
    }

    private static void keyless(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 4);
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        for (int i = 0; i < 5; i++) {
            Transaction<byte[]> transaction = writer.beginTxn();
            for (int event = 0; event < 100; event++) {
                transaction.writeEvent((i + " " + event).getBytes(UTF_8));
            }
            Transactions.commit(transaction);
        }
        // By segments: those of one transaction are in one of them, and nothing is in between.
        List<String> events = Readers.batch(fixture, stream).stream().map(event -> new String(event, UTF_8)).collect(Collectors.toList());
        Expect.equal(events.size(), 500, "the number of events");
        for (int first = 0; first < 500; first += 100) {
            String transaction = events.get(first).split(" ")[0];
            for (int event = 0; event < 100; event++) {
                Expect.equal(events.get(first + event), transaction + " " + event, "the next event");
            }
        }
    }

    private static void byId(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 3);
        Transaction<byte[]> begun = Transactions.writer(fixture, "stream").beginTxn();
        Transactions.write(begun, 1, 10, 0, 5);
        begun.flush();
        try (EventStreamClientFactory events = EventStreamClientFactory.withScope(fixture.scope, fixture.config);
                TransactionalEventStreamWriter<byte[]> other = events.createTransactionalEventWriter("other", "stream", Fixture.BYTES,
                        EventWriterConfig.builder().build())) {
            Transaction<byte[]> found = other.getTxn(begun.getTxnId());
            Expect.equal(found.checkStatus(), Transaction.Status.OPEN, "the status");
            Transactions.write(found, 1, 10, 5, 10);
            Transactions.commit(found);
            Expect.equal(begun.checkStatus(), Transaction.Status.COMMITTED, "the status at the one that began it");
            Expect.equal(other.getTxn(begun.getTxnId()).checkStatus(), Transaction.Status.COMMITTED, "the status, found again");
        }
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, 100), "what is there");
    }

    private static void order(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 3);
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        int count = 12;
        List<Transaction<byte[]>> transactions = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            transactions.add(writer.beginTxn());
        }
        // Committed in the opposite order; nobody waits for one before the next.
        for (int i = 0; i < count; i++) {
            Transaction<byte[]> transaction = transactions.get(count - 1 - i);
            Transactions.write(transaction, 1, 10, i * 3L, i * 3L + 3);
            transaction.commit();
        }
        Transactions.expectStatus(transactions.get(0), Transaction.Status.COMMITTED);
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, count * 30), "what is there");
    }

    private static void pieces(Fixture fixture) throws Exception {
        fixture.stream("stream", 1);
        fixture.group("readers", "stream");
        EventStreamReader<byte[]> reader = fixture.reader("one", "readers");
        int writers = 4;
        int each = 25;
        var writing = fixture.start(() -> {
            fixture.together(writers, number -> {
                TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
                for (int i = 0; i < each; i++) {
                    Transaction<byte[]> transaction = writer.beginTxn();
                    Transactions.write(transaction, number, 10, i, i + 1);
                    transaction.commit();
                }
            });
            return null;
        });
        Numbered.Ledger ledger = new Numbered.Ledger((long) writers * each * 10);
        for (int i = 0; i < writers * each; i++) {
            List<byte[]> piece = Readers.next(reader, 10);
            piece.forEach(ledger::accept);
            Set<String> of = piece.stream().map(event -> {
                java.nio.ByteBuffer header = java.nio.ByteBuffer.wrap(event);
                return header.getInt(0) + " " + header.getLong(8);
            }).collect(Collectors.toSet());
            Expect.equal(of.size(), 1, "the number of transactions that ten events in a row are of");
        }
        Fixture.join(writing);
        Readers.expectQuiet(reader);
    }

    private static void sixteen(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 4);
        EventStreamWriter<byte[]> plain = fixture.writer("stream");
        List<CompletableFuture<Void>> acks = new ArrayList<>();
        Map<Integer, Integer> due = new HashMap<>();
        var writing = fixture.start(() -> {
            for (int i = 0; i < 2_000; i++) {
                acks.add(plain.writeEvent(Numbered.keyName(i % 20), Numbered.event(99, i % 20, i / 20, 60)));
            }
            return null;
        });
        fixture.together(16, number -> {
            TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
            int committed = 0;
            for (int i = 0; i < 8; i++) {
                Transaction<byte[]> transaction = writer.beginTxn();
                Transactions.write(transaction, number, 5, committed * 4L, committed * 4L + 4);
                if (i % 4 == 3) {
                    transaction.abort();
                } else {
                    Transactions.commit(transaction);
                    committed++;
                }
            }
            synchronized (due) {
                due.put(number, committed * 20);
            }
        });
        Fixture.join(writing);
        for (CompletableFuture<Void> ack : acks) {
            ack.get();
        }
        due.put(99, 2_000);
        Expect.equal(Transactions.read(fixture, stream), due, "what is there");
    }

    private static void large(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        Transaction<byte[]> transaction = Transactions.writer(fixture, "stream").beginTxn();
        for (int i = 0; i < 2_000; i++) {
            transaction.writeEvent(Numbered.keyName(i % 10), Numbered.event(1, i % 10, i / 10, 10_000));
        }
        transaction.flush();
        Transactions.commit(transaction);
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, 2_000), "what is there");
    }

    private static void completed(Fixture fixture) throws Exception {
        Map<String, Map<UUID, Transaction.Status>> due = new HashMap<>();
        for (String name : List.of("left", "right")) {
            fixture.stream(name, 2);
            TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, name);
            Map<UUID, Transaction.Status> ended = new HashMap<>();
            for (int i = 0; i < 6; i++) {
                Transaction<byte[]> transaction = writer.beginTxn();
                transaction.writeEvent("key", new byte[] {1});
                if (i % 3 == 0) {
                    transaction.abort();
                } else {
                    transaction.commit();
                }
                Transaction.Status end = i % 3 == 0 ? Transaction.Status.ABORTED : Transaction.Status.COMMITTED;
                Transactions.expectStatus(transaction, end);
                ended.put(transaction.getTxnId(), end);
            }
            writer.beginTxn();
            due.put(name, ended);
        }
        for (String name : due.keySet()) {
            List<TransactionInfo> listed = fixture.streams.listCompletedTransactions(Stream.of(fixture.scope, name));
            Map<UUID, Transaction.Status> seen = new HashMap<>();
            listed.forEach(each -> seen.put(each.getTransactionId(), each.getTransactionStatus()));
            Expect.equal(seen, due.get(name), "the completed transactions of " + name);
            Expect.equal(listed.size(), seen.size(), "how many are listed");
        }
        fixture.stream("nothing", 1);
        Expect.equal(fixture.streams.listCompletedTransactions(Stream.of(fixture.scope, "nothing")), List.of(), "those of a new stream");
    }

    private static void rolling(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        EventStreamWriter<byte[]> plain = fixture.writer("stream");
        for (int key = 0; key < 10; key++) {
            plain.writeEvent(Numbered.keyName(key), Numbered.event(0, key, 0, 60)).get();
        }
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        Transaction<byte[]> transaction = writer.beginTxn();
        Transactions.write(transaction, 1, 10, 0, 5);
        List<Scaling.Part> scaled = Scaling.wholly(fixture, stream, 3);
        for (int key = 0; key < 10; key++) {
            plain.writeEvent(Numbered.keyName(key), Numbered.event(0, key, 1, 60)).get();
        }
        // Its own segments take events still.
        Transactions.write(transaction, 1, 10, 5, 10);
        transaction.flush();
        Transactions.commit(transaction);
        List<Scaling.Part> after = Scaling.current(fixture, stream);
        Scaling.expectPartition(after);
        Expect.equal(Scaling.epoch(after), Scaling.epoch(scaled) + 2, "the epoch");
        Expect.equal(after.stream().map(part -> part.high).collect(Collectors.toList()),
                scaled.stream().map(part -> part.high).collect(Collectors.toList()), "the borders");
        Expect.equal(after.stream().map(Scaling.Part::number).collect(Collectors.toList()),
                scaled.stream().map(Scaling.Part::number).collect(Collectors.toList()), "the numbers, which are as they were");
        for (int key = 0; key < 10; key++) {
            plain.writeEvent(Numbered.keyName(key), Numbered.event(0, key, 2, 60)).get();
        }
        Expect.equal(Transactions.read(fixture, stream), Map.of(0, 30, 1, 100), "what is there");
        // The stream scales on, and one begun now commits without further ado.
        Scaling.wholly(fixture, stream, 2);
        Transaction<byte[]> next = writer.beginTxn();
        Transactions.write(next, 1, 10, 10, 11);
        Transactions.commit(next);
        Expect.equal(Scaling.epoch(Scaling.current(fixture, stream)), Scaling.epoch(after) + 1, "the epoch, of the scale alone");
        Expect.equal(Transactions.read(fixture, stream), Map.of(0, 30, 1, 110), "what is there in the end");
    }

    private static void byIdAfterScale(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 2);
        Transaction<byte[]> begun = Transactions.writer(fixture, "stream").beginTxn();
        UUID id = begun.getTxnId();
        Expect.equal((int) (id.getMostSignificantBits() >>> 32), 0, "the epoch in the id");
        Transactions.write(begun, 1, 10, 0, 5);
        begun.flush();
        Scaling.wholly(fixture, stream, 5);
        Scaling.wholly(fixture, stream, 2);
        Expect.equal(Scaling.ids(Scaling.parts(fixture.controller().getEpochSegments(fixture.scope, "stream", 0).join())),
                List.of(0L, 1L), "the segments of the epoch in which it began");
        Transaction<byte[]> found = Transactions.writer(fixture, "stream").getTxn(id);
        Transactions.write(found, 1, 10, 5, 10);
        Transactions.commit(found);
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, 100), "what is there");
    }

    /**
     * Its events are under way when their segments are sealed. It closes when no segment is about to be: a client that finds a segment
     * sealed while it closes, and has closed that one's successor before, never ends.
     */
    private static void plainWriter(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        int rounds = 10;
        for (int round = 0; round < rounds; round++) {
            Transaction<byte[]> transaction = writer.beginTxn();
            Transactions.write(transaction, 1, 10, round, round + 1);
            EventStreamWriter<byte[]> plain = fixture.events().createEventWriter("stream", Fixture.BYTES, EventWriterConfig.builder().build());
            for (int i = 0; i < 100; i++) {
                if (i == 30) {
                    Scaling.wholly(fixture, stream, 1 + (round + 1) % 4);
                } else if (i == 60) {
                    transaction.commit();
                }
                plain.writeEvent(Numbered.keyName(i % 10), Numbered.event(2, i % 10, round * 10L + i / 10, 60));
            }
            plain.flush();
            Transactions.expectStatus(transaction, Transaction.Status.COMMITTED);
            plain.close();
        }
        Scaling.expectPartition(Scaling.current(fixture, stream));
        Expect.equal(Transactions.read(fixture, stream), Map.of(1, rounds * 10, 2, rounds * 100), "what is there");
    }

    private static void rollingUnderGroup(Fixture fixture) throws Exception {
        Stream stream = fixture.stream("stream", 1);
        fixture.group("readers", ReaderGroupConfig.builder().stream(stream)
                .automaticCheckpointIntervalMillis(300).groupRefreshTimeMillis(200).build());
        List<EventStreamReader<byte[]>> readers = List.of(fixture.reader("one", "readers"), fixture.reader("two", "readers"));
        int rounds = 4;
        Numbered.Ledger ledger = new Numbered.Ledger(2L * rounds * 100);
        var reading = fixture.start(() -> {
            Readers.drain(fixture, readers, ledger);
            return null;
        });
        TransactionalEventStreamWriter<byte[]> writer = Transactions.writer(fixture, "stream");
        EventStreamWriter<byte[]> plain = fixture.writer("stream");
        for (int round = 0; round < rounds; round++) {
            Transaction<byte[]> transaction = writer.beginTxn();
            Transactions.write(transaction, 1, 10, round * 10L, round * 10L + 5);
            Scaling.wholly(fixture, stream, 2 + round % 3);
            for (int i = 0; i < 100; i++) {
                plain.writeEvent(Numbered.keyName(i % 10), Numbered.event(2, i % 10, round * 10L + i / 10, 60));
            }
            Transactions.write(transaction, 1, 10, round * 10L + 5, round * 10L + 10);
            transaction.commit();
        }
        plain.flush();
        Fixture.join(reading);
        Scaling.expectPartition(Scaling.current(fixture, stream));
    }
}
