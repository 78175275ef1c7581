package hayate.tests.mongo;

import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/**
 * Serves MongoDB's wire protocol from memory on a free port of the loopback
 * interface, prints the port, and ends when its standard input does: with the
 * process that started it.
 */
public final class Server {
    /** The oldest version that the Go driver talks to: MongoDB 4.4, wire version 9. */
    private static final MongoVersion VERSION = new MongoVersion() {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(4, 4, 0);
        }

        @Override
        public int getWireVersion() {
            return 9;
        }
    };

    private Server() {}

    public static void main(String[] args) throws Exception {
        MongoServer server = new MongoServer(new MemoryBackend().version(VERSION));
        server.bind("127.0.0.1", 0);
        System.out.println(server.getLocalAddress().getPort());
        while (System.in.read() >= 0) {
            // Only the end matters.
        }
        server.shutdownNow();
        System.exit(0);
    }
}
