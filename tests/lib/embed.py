#!/usr/bin/env python3
"""Prints a C file with the given files as bytes: `const struct embedded embedded_files[]`
(name, data, len; sorted by name, ends with a NULL name). See daemon/base/embedded.h."""
import sys

print('#include <base/embedded.h>\n')
for i, path in enumerate(sys.argv[1:]):
    data = open(path, "rb").read()
    print(f"static const char file_{i}[] = {{")
    for at in range(0, len(data), 20):
        print("\t" + "".join(f"{b if b < 128 else b - 256}," for b in data[at:at + 20]))
    print("\t0};")
print("const struct embedded embedded_files[] = {")
for i, path in enumerate(sys.argv[1:]):
    print(f'\t{{"{path}", file_{i}, sizeof(file_{i}) - 1}},')
print("\t{NULL, NULL, 0},\n};")
