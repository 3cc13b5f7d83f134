# Every library comes from Debian 12; `./dev` installs them.
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL 3 REQUIRED)
find_package(CURL 7.88 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(PostgreSQL 15 REQUIRED)
find_package(mongoc-1.0 1.23 REQUIRED)
find_package(ICU 72 REQUIRED COMPONENTS uc i18n)
find_package(fmt 9 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(GTest 1.12 REQUIRED)
find_package(benchmark 1.7 REQUIRED)
find_package(Threads REQUIRED)

# The allocator of the release binary: a message's objects are made on one thread and freed on another, which glibc's does slowly. The
# sanitizers bring their own.
find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)
