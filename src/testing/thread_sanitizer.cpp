// What ThreadSanitizer is told to overlook in our tests: shared libraries of Debian that are not built for it, so that it does not see
// the atomic operations which order what their threads do.
//
// - The reference count of a std::exception_ptr is kept by libstdc++: "the last look at an exception" and "it is freed" are reported
//   as a race whenever an exception crosses threads. Only that one function is named.
// - libmongoc hands documents (the cluster's time and description) from one client of a pool to another, and libbson frees them. Only
//   the freeing is named.
extern "C" const char* __tsan_default_suppressions();   // NOLINT: the sanitizer's name
extern "C" const char* __tsan_default_suppressions() {  // NOLINT
  return "race:std::__exception_ptr::exception_ptr::_M_release\n"
         "race:bson_destroy\n";
}
