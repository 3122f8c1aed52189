// Settings of jemalloc, which reads them at the start of a program that links it.

// Two threads do nearly all the work: a shard's and the journal's writer. More arenas hold more memory, and are no
// faster (docs/performance.md).
extern "C" const char* malloc_conf;
extern "C" const char* malloc_conf = "narenas:2";
