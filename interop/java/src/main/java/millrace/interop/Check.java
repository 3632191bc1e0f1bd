package millrace.interop;

import io.pravega.client.BatchClientFactory;
import io.pravega.client.ClientConfig;
import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.admin.ReaderGroupManager;
import io.pravega.client.batch.SegmentIterator;
import io.pravega.client.batch.SegmentRange;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.ReaderConfig;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.StreamCut;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * {@code Check URI SCOPE STREAM LOG...}: reads the stream, by segments and by a reader group, and holds it against what the writers
 * of {@link Acked}, or others with the same logs, noted down. Every acknowledged event is there; none is there twice, or out of its
 * writer's order for its key, or was never sent, or is changed; what a reader saw has not gone away again. Of a transaction
 * ({@link TransactionLoad}) all events are there or none, as its fate says. Several logs are several programs, whose writers have
 * different numbers.
 */
public final class Check {
    private static final int SHOWN_MAX = 10;
    private static final long CHECKPOINT_MS = 100;

    private final List<String> faults = new ArrayList<>();
    private long faultCount;

    private Check() {
    }

    /** An event without its contents. */
    private static final class Id {
        final int writer;
        final int key;
        final long sequence;

        Id(int writer, int key, long sequence) {
            this.writer = writer;
            this.key = key;
            this.sequence = sequence;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Id && ((Id) other).writer == writer && ((Id) other).key == key && ((Id) other).sequence == sequence;
        }

        @Override
        public int hashCode() {
            return Objects.hash(writer, key, sequence);
        }

        @Override
        public String toString() {
            return "writer " + writer + ", key " + key + ", event " + sequence;
        }
    }

    private static final class Written {
        final String fate;
        final List<Id> events = new ArrayList<>();

        Written(String line) {
            String[] words = line.split(" ");
            fate = words[0];
            for (int i = 2; i < words.length; i += 2) {
                events.add(new Id(Integer.parseInt(words[1]), Integer.parseInt(words[i]), Long.parseLong(words[i + 1])));
            }
        }
    }

    public static void main(String[] args) throws Exception {
        ClientConfig config = ClientConfig.builder().controllerURI(URI.create(args[0])).build();
        Stream stream = Stream.of(args[1], args[2]);
        List<Id> acked = new ArrayList<>();
        Set<Id> sent = new HashSet<>();
        List<List<Id>> read = new ArrayList<>();
        List<Written> transactions = new ArrayList<>();
        for (int i = 3; i < args.length; i++) {
            acked.addAll(load(args[i]));
            sent.addAll(load(args[i] + ".sent"));
            read.add(load(args[i] + ".read"));
            for (String line : lines(args[i] + ".transactions")) {
                transactions.add(new Written(line));
            }
        }
        transactions.forEach(transaction -> sent.addAll(transaction.events));
        Check check = new Check();
        Set<Id> there = check.compare("by segments", acked, sent, into -> bySegments(config, stream, into));
        check.compare("by a group", acked, sent, into -> byGroup(config, stream, there.size(), into));
        for (List<Id> events : read) {
            check.compareRead(events, there);
        }
        check.compareTransactions(transactions, there);
        System.exit(check.tell(acked.size(), sent.size(), there.size()) ? 0 : 1);
    }

    private static List<String> lines(String path) throws IOException {
        return Files.exists(Path.of(path)) ? Files.readAllLines(Path.of(path)) : List.of();
    }

    private static List<Id> load(String path) throws IOException {
        List<Id> ids = new ArrayList<>();
        for (String line : lines(path)) {
            String[] words = line.split(" ");
            ids.add(new Id(Integer.parseInt(words[0]), Integer.parseInt(words[1]), Long.parseLong(words[2])));
        }
        return ids;
    }

    private Set<Id> compare(String how, List<Id> acked, Set<Id> sent, Consumer<Consumer<byte[]>> source) {
        Set<Id> there = new HashSet<>();
        Map<Long, Long> last = new HashMap<>();
        source.accept(bytes -> {
            if (bytes.length < Numbered.BYTES_MIN) {
                fault("an event of " + bytes.length + " bytes, read " + how + ", was never sent");
                return;
            }
            ByteBuffer header = ByteBuffer.wrap(bytes);
            Id id = new Id(header.getInt(), header.getInt(), header.getLong());
            if (!java.util.Arrays.equals(bytes, Numbered.event(id.writer, id.key, id.sequence, bytes.length))) {
                fault(id + ", read " + how + ", is changed");
            }
            if (!sent.contains(id)) {
                fault(id + ", read " + how + ", was never sent");
            }
            if (!there.add(id)) {
                fault(id + ", read " + how + ", comes twice");
            }
            Long before = last.put((long) id.writer << 32 | id.key, id.sequence);
            if (before != null && before >= id.sequence) {
                fault(id + ", read " + how + ", comes after event " + before);
            }
        });
        for (Id id : acked) {
            if (!there.contains(id)) {
                fault(id + " was acknowledged and is missing, read " + how);
            }
        }
        return there;
    }

    /** What a reader saw while the server was killed. It may have begun anew, so it may have seen events again, but each must be there. */
    private void compareRead(List<Id> read, Set<Id> there) {
        for (Id id : read) {
            if (!there.contains(id)) {
                fault(id + " was read and is missing");
            }
        }
    }

    private void compareTransactions(List<Written> transactions, Set<Id> there) {
        Map<String, Integer> fates = new TreeMap<>();
        for (Written transaction : transactions) {
            fates.merge(transaction.fate, 1, Integer::sum);
            int count = transaction.events.size();
            long seen = transaction.events.stream().filter(there::contains).count();
            String what = "of " + count + " events of a transaction, " + transaction.fate + ", with " + transaction.events.get(0);
            if (transaction.fate.equals("committed") && seen < count) {
                fault(what + ", " + (count - seen) + " are missing");
            } else if (transaction.fate.equals("aborted") && seen > 0) {
                fault(what + ", " + seen + " are there");
            } else if (seen > 0 && seen < count) {
                fault(what + ", " + seen + " are there and the others are not");
            }
        }
        System.out.println("transactions: " + fates);
    }

    private static void bySegments(ClientConfig config, Stream stream, Consumer<byte[]> into) {
        try (BatchClientFactory batch = BatchClientFactory.withScope(stream.getScope(), config)) {
            for (SegmentRange range : Readers.ranges(batch, stream, StreamCut.UNBOUNDED, StreamCut.UNBOUNDED)) {
                try (SegmentIterator<byte[]> events = batch.readSegment(range, Fixture.BYTES)) {
                    events.forEachRemaining(into);
                }
            }
        }
    }

    private static void byGroup(ClientConfig config, Stream stream, long count, Consumer<byte[]> into) {
        String group = "check-" + Long.toString(System.nanoTime(), 36);
        try (ReaderGroupManager groups = ReaderGroupManager.withScope(stream.getScope(), config);
                EventStreamClientFactory events = EventStreamClientFactory.withScope(stream.getScope(), config)) {
            // A reader goes on to the successors of a segment at a checkpoint, so there must be many.
            groups.createReaderGroup(group, ReaderGroupConfig.builder().stream(stream).automaticCheckpointIntervalMillis(CHECKPOINT_MS)
                    .groupRefreshTimeMillis(CHECKPOINT_MS).build());
            try (EventStreamReader<byte[]> reader = events.createReader("one", group, Fixture.BYTES, ReaderConfig.builder().build())) {
                long seen = 0;
                long last = System.nanoTime();
                // A little longer than needed, so that one too many is found as well.
                while (System.nanoTime() - last < (seen < count ? 30_000_000_000L : 500_000_000L)) {
                    byte[] event = reader.readNextEvent(250).getEvent();
                    if (event != null) {
                        into.accept(event);
                        seen++;
                        last = System.nanoTime();
                    }
                }
            }
            groups.deleteReaderGroup(group);
        }
    }

    private void fault(String what) {
        faultCount++;
        if (faults.size() < SHOWN_MAX) {
            faults.add(what);
        }
    }

    private boolean tell(long acked, long sent, long there) {
        System.out.println(sent + " sent, " + acked + " acknowledged, " + there + " there");
        if (acked == 0) {
            fault("nothing was acknowledged, so nothing was tested");
        }
        faults.forEach(fault -> System.out.println("FAULT " + fault));
        if (faultCount > faults.size()) {
            System.out.println("and " + (faultCount - faults.size()) + " more");
        }
        return faultCount == 0;
    }
}
