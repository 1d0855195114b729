/* crc32c.h - the Castagnoli CRC (RFC 3720 Appendix B.4), as iSCSI, ext4 and others use
 * it. */
#ifndef INTERACTD_IO_CRC32C_H
#define INTERACTD_IO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc; 0 to begin. crc32c(crc32c(0, a), b) is the CRC of a and b together.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same without the processor's instruction, for tests. */
uint32_t crc32c_soft(uint32_t crc, const void *data, size_t len);

#endif
