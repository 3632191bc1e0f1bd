package millrace.interop;

import io.pravega.client.SynchronizerClientFactory;
import io.pravega.client.state.InitialUpdate;
import io.pravega.client.state.Revision;
import io.pravega.client.state.Revisioned;
import io.pravega.client.state.RevisionedStreamClient;
import io.pravega.client.state.StateSynchronizer;
import io.pravega.client.state.SynchronizerConfig;
import io.pravega.client.state.Update;
import io.pravega.client.stream.InvalidStreamException;
import io.pravega.client.stream.TruncatedDataException;
import io.pravega.client.stream.impl.JavaSerializer;
import io.pravega.client.stream.impl.UTF8StringSerializer;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Conditional writes and what is built on them. */
final class RevisionCases {
    private RevisionCases() {
    }

    static List<Case> all() {
        return List.of(
                Case.of("revisions: a write succeeds at the latest revision only", RevisionCases::conditional),
                Case.of("revisions: competitors count without losing a step", RevisionCases::competitors),
                Case.of("revisions: a mark is moved by whoever knows where it is", RevisionCases::marks),
                Case.of("revisions: truncation forgets what came before", RevisionCases::truncate),
                Case.of("revisions: values of every size", RevisionCases::sizes),
                Case.of("revisions: a sealed stream is refused", RevisionCases::sealed),
                Case.of("state: several synchronizers agree", RevisionCases::synchronizers),
                Case.of("state: updates without a condition", RevisionCases::unconditional),
                Case.of("state: one that comes late catches up after a compaction", RevisionCases::compaction));
    }

    private static SynchronizerClientFactory factory(Fixture fixture) {
        return fixture.closing(SynchronizerClientFactory.withScope(fixture.scope, fixture.config));
    }

    private static RevisionedStreamClient<String> client(Fixture fixture, SynchronizerClientFactory factory) {
        return fixture.closing(factory.createRevisionedStreamClient("stream", new UTF8StringSerializer(),
                SynchronizerConfig.builder().build()));
    }

    private static List<String> values(Iterator<Map.Entry<Revision, String>> entries) {
        List<String> values = new ArrayList<>();
        entries.forEachRemaining(entry -> values.add(entry.getValue()));
        return values;
    }

    private static void conditional(Fixture fixture) {
        fixture.stream("stream", 1);
        SynchronizerClientFactory factory = factory(fixture);
        RevisionedStreamClient<String> one = client(fixture, factory);
        RevisionedStreamClient<String> two = client(fixture, factory);
        Revision start = one.fetchLatestRevision();
        Expect.equal(one.fetchOldestRevision(), start, "the oldest revision of an empty stream");
        Revision first = one.writeConditionally(start, "first");
        Expect.that(first != null, "a write at the latest revision succeeds");
        Expect.equal(two.writeConditionally(start, "late"), null, "the answer to a write at an older revision");
        Expect.equal(two.fetchLatestRevision(), first, "the latest revision");
        Revision second = two.writeConditionally(first, "second");
        Expect.that(second != null && second.compareTo(first) > 0, "a write at the new revision succeeds, after a failure too");
        one.writeUnconditionally("third");
        Expect.equal(values(two.readFrom(start)), List.of("first", "second", "third"), "the values");
        Expect.equal(values(two.readFrom(first)), List.of("second", "third"), "the values after the first");
        Expect.equal(values(two.readRange(start, second)), List.of("first", "second"), "the values up to the second");
        Expect.equal(Revision.fromString(second.toString()), second, "a revision from its text");
    }

    private static void competitors(Fixture fixture) throws Exception {
        fixture.stream("stream", 1);
        int competitors = 5;
        int steps = 30;
        fixture.together(competitors, number -> {
            RevisionedStreamClient<String> client = client(fixture, factory(fixture));
            for (int step = 0; step < steps; step++) {
                while (client.writeConditionally(client.fetchLatestRevision(), number + ":" + step) == null) {
                    // Somebody else was first: try again at what is the latest now.
                }
            }
        });
        RevisionedStreamClient<String> client = client(fixture, factory(fixture));
        Map<String, Integer> next = new TreeMap<>();
        for (String value : values(client.readFrom(client.fetchOldestRevision()))) {
            String[] parts = value.split(":");
            int due = next.merge(parts[0], 1, Integer::sum) - 1;
            Expect.equal(Integer.parseInt(parts[1]), due, "the step of competitor " + parts[0]);
        }
        Expect.that(next.size() == competitors && next.values().stream().allMatch(count -> count == steps), "every step is there");
    }

    private static void marks(Fixture fixture) {
        fixture.stream("stream", 1);
        SynchronizerClientFactory factory = factory(fixture);
        RevisionedStreamClient<String> one = client(fixture, factory);
        RevisionedStreamClient<String> two = client(fixture, factory);
        Revision start = one.fetchLatestRevision();
        Revision first = one.writeConditionally(start, "first");
        Revision second = one.writeConditionally(first, "second");
        Expect.equal(one.getMark(), null, "the mark of a new stream");
        Expect.that(!one.compareAndSetMark(first, second), "a mark that is not there is not moved");
        Expect.that(one.compareAndSetMark(null, first), "a first mark is set");
        Expect.equal(two.getMark(), first, "the mark");
        Expect.that(!two.compareAndSetMark(null, second), "it is not set as if it were the first again");
        Expect.that(two.compareAndSetMark(first, second), "it is moved");
        Expect.equal(one.getMark(), second, "the mark");
        Expect.that(one.compareAndSetMark(second, null), "it is taken away");
        Expect.equal(two.getMark(), null, "the mark");
    }

    private static void truncate(Fixture fixture) {
        fixture.stream("stream", 1);
        RevisionedStreamClient<String> client = client(fixture, factory(fixture));
        Revision start = client.fetchLatestRevision();
        Revision first = client.writeConditionally(start, "first");
        Revision second = client.writeConditionally(first, "second");
        client.truncateToRevision(first);
        Expect.equal(client.fetchOldestRevision(), first, "the oldest revision");
        client.truncateToRevision(start);
        Expect.equal(client.fetchOldestRevision(), first, "the oldest revision, which does not go back");
        Expect.equal(values(client.readFrom(first)), List.of("second"), "what is left");
        Expect.fails(TruncatedDataException.class, "reading what was truncated", () -> values(client.readFrom(start)));
        Expect.that(client.writeConditionally(second, "third") != null, "writing goes on");
    }

    private static void sizes(Fixture fixture) {
        fixture.stream("stream", 1);
        RevisionedStreamClient<String> client = client(fixture, factory(fixture));
        Revision at = client.fetchLatestRevision();
        Revision start = at;
        List<String> written = new ArrayList<>();
        for (int size : new int[] {0, 1, 100, 65_536, 1 << 20, 4 << 20}) {
            String value = "v".repeat(size);
            written.add(value);
            at = client.writeConditionally(at, value);
            Expect.that(at != null, "a value of " + size + " bytes is written");
        }
        Expect.that(values(client.readFrom(start)).equals(written), "the values come back");
    }

    private static void sealed(Fixture fixture) {
        fixture.stream("stream", 1);
        fixture.streams.sealStream(fixture.scope, "stream");
        SynchronizerClientFactory factory = factory(fixture);
        Expect.fails(InvalidStreamException.class, "a client for a sealed stream", () -> client(fixture, factory));
        Expect.fails(InvalidStreamException.class, "a client for no stream", () ->
                factory.createRevisionedStreamClient("none", new UTF8StringSerializer(), SynchronizerConfig.builder().build()));
    }

    /** How often each competitor counted. */
    private static final class Counts implements Revisioned, Serializable, InitialUpdate<Counts> {
        private static final long serialVersionUID = 1L;
        private final String stream;
        private final transient Revision revision;
        private final TreeMap<String, Integer> counts;

        Counts(String stream, Revision revision, TreeMap<String, Integer> counts) {
            this.stream = stream;
            this.revision = revision;
            this.counts = counts;
        }

        @Override
        public String getScopedStreamName() {
            return stream;
        }

        @Override
        public Revision getRevision() {
            return revision;
        }

        @Override
        public Counts create(String scopedStreamName, Revision at) {
            return new Counts(scopedStreamName, at, counts);
        }
    }

    private static final class Increment implements Update<Counts>, Serializable {
        private static final long serialVersionUID = 1L;
        private final String name;
        /** The count that the writer saw, -1 if it does not care. */
        private final int seen;

        Increment(String name, int seen) {
            this.name = name;
            this.seen = seen;
        }

        @Override
        public Counts applyTo(Counts old, Revision newRevision) {
            TreeMap<String, Integer> counts = new TreeMap<>(old.counts);
            int count = counts.merge(name, 1, Integer::sum);
            if (seen >= 0 && seen != count - 1) {
                throw new IllegalStateException("an update was applied to a state that its writer did not see");
            }
            return new Counts(old.stream, newRevision, counts);
        }
    }

    private static StateSynchronizer<Counts> synchronizer(Fixture fixture) {
        StateSynchronizer<Counts> synchronizer = fixture.closing(factory(fixture).createStateSynchronizer("stream",
                new JavaSerializer<Increment>(), new JavaSerializer<Counts>(), SynchronizerConfig.builder().build()));
        synchronizer.initialize(new Counts("", null, new TreeMap<>()));
        return synchronizer;
    }

    private static void increment(StateSynchronizer<Counts> synchronizer, String name, boolean checked) {
        synchronizer.updateState((state, updates) -> {
            updates.add(new Increment(name, checked ? state.counts.getOrDefault(name, 0) : -1));
        });
    }

    private static void synchronizers(Fixture fixture) throws Exception {
        fixture.stream("stream", 1);
        int competitors = 4;
        int steps = 25;
        fixture.together(competitors, number -> {
            StateSynchronizer<Counts> synchronizer = synchronizer(fixture);
            for (int step = 0; step < steps; step++) {
                increment(synchronizer, "shared", true);
            }
        });
        HashSet<Map<String, Integer>> states = new HashSet<>();
        for (int i = 0; i < 2; i++) {
            StateSynchronizer<Counts> synchronizer = synchronizer(fixture);
            synchronizer.fetchUpdates();
            states.add(synchronizer.getState().counts);
        }
        Expect.equal(states, java.util.Set.of(Map.of("shared", competitors * steps)), "the states of two that look");
    }

    private static void unconditional(Fixture fixture) {
        fixture.stream("stream", 1);
        StateSynchronizer<Counts> one = synchronizer(fixture);
        StateSynchronizer<Counts> two = synchronizer(fixture);
        for (int i = 0; i < 20; i++) {
            one.updateStateUnconditionally(new Increment("one", -1));
            two.updateStateUnconditionally(List.of(new Increment("two", -1), new Increment("two", -1)));
        }
        one.fetchUpdates();
        two.fetchUpdates();
        Expect.equal(one.getState().counts, Map.of("one", 20, "two", 40), "the state");
        Expect.equal(two.getState().counts, one.getState().counts, "the state of the other");
    }

    private static void compaction(Fixture fixture) {
        fixture.stream("stream", 1);
        StateSynchronizer<Counts> one = synchronizer(fixture);
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 20; i++) {
                increment(one, "one", false);
            }
            Expect.that(one.bytesWrittenSinceCompaction() > 0, "there is something to compact");
            one.compact(state -> new Counts("", null, new TreeMap<>(state.counts)));
        }
        StateSynchronizer<Counts> late = synchronizer(fixture);
        late.fetchUpdates();
        Expect.equal(late.getState().counts, Map.of("one", 60), "the state");
        increment(one, "one", true);
        late.fetchUpdates();
        Expect.equal(late.getState().counts, Map.of("one", 61), "the state after one more");
    }
}
