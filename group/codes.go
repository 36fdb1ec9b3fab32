package group

// Kafka's error codes that a group coordinator answers.
const (
	unknownServerError        int16 = -1
	none                      int16 = 0
	unknownTopicOrPartition   int16 = 3
	offsetMetadataTooLarge    int16 = 12
	coordinatorLoadInProgress int16 = 14
	coordinatorNotAvailable   int16 = 15
	notCoordinator            int16 = 16
	illegalGeneration         int16 = 22
	inconsistentGroupProtocol int16 = 23
	invalidGroupID            int16 = 24
	unknownMemberID           int16 = 25
	invalidSessionTimeout     int16 = 26
	rebalanceInProgress       int16 = 27
	invalidProducerEpoch      int16 = 47
	invalidTxnState           int16 = 48
	nonEmptyGroup             int16 = 68
	groupIDNotFound           int16 = 69
	memberIDRequired          int16 = 79
	groupMaxSizeReached       int16 = 81
	fencedInstanceID          int16 = 82
	groupSubscribedToTopic    int16 = 86
	unstableOffsetCommit      int16 = 88
	unknownTopicID            int16 = 100
)
